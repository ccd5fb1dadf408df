#include "model/text/case_mapping.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <utf8proc.h>

namespace baton {
namespace {

// SpecialCasing.txt has 103 characters of which several come. All but these two follow from how
// characters decompose, so no table of them is kept here.
constexpr char32_t kDottedI = 0x130;
constexpr char32_t kSharpS = 0xDF;
constexpr char32_t kIotaBelow = 0x345;

char32_t SimpleUpper(char32_t c) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}

// Those that no composed capital exists of: ligatures, an n with an apostrophe.
bool IsLigature(char32_t c) {
  return c == 0x149 || c == 0x587 || c == 0x1E9A || (c >= 0xFB00 && c <= 0xFB17);
}

std::u32string Mapped(char32_t c, int options) {
  std::array<utf8proc_int32_t, 20> into{};  // Unicode's longest decomposition has 18
  int last_class = 0;
  const auto count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), into.data(), into.size(),
                              static_cast<utf8proc_option_t>(options), &last_class);
  if (count < 1) return {c};
  return {into.begin(), into.begin() + std::min<ptrdiff_t>(count, into.size())};
}

std::u32string Decomposed(char32_t c) {
  if (c < 0x80) return {c};
  return Mapped(c, UTF8PROC_DECOMPOSE | (IsLigature(c) ? UTF8PROC_COMPAT : 0));
}

// Letters with marks in one character each.
std::u32string Composed(std::u32string text) {
  std::u32string composed = text;
  const auto count =
      utf8proc_normalize_utf32(reinterpret_cast<utf8proc_int32_t*>(composed.data()),
                               static_cast<utf8proc_ssize_t>(composed.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  if (count < 0) return text;
  composed.resize(static_cast<size_t>(count));
  return composed;
}

// Of a small letter with an iota below, all but the iota in upper case.
std::u32string CapitalOverIota(const std::u32string& letters) {
  std::u32string capital;
  for (const char32_t c : letters) {
    if (c != kIotaBelow) capital += SimpleUpper(c);
  }
  return Composed(std::move(capital));
}

bool IsSmall(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_LL;
}

}  // namespace

std::u32string LowerCase(char32_t c) {
  if (c == kDottedI) return U"i\u0307";
  return {static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)))};
}

std::u32string UpperCase(char32_t c) {
  if (c == kSharpS) return U"SS";
  std::u32string letters = Decomposed(c);
  if (letters.size() == 1) return {SimpleUpper(c)};
  if (letters.back() == kIotaBelow) return CapitalOverIota(letters) + U'\u0399';
  if (SimpleUpper(c) != c || !IsSmall(c)) return {SimpleUpper(c)};
  std::transform(letters.begin(), letters.end(), letters.begin(), SimpleUpper);
  return letters;
}

std::u32string TitleCase(char32_t c) {
  if (c == kSharpS) return U"Ss";
  const auto simple = static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
  std::u32string letters = Decomposed(c);
  if (simple != c || !IsSmall(c) || letters.size() == 1) return {simple};
  if (letters.back() == kIotaBelow) return CapitalOverIota(letters) + kIotaBelow;
  const auto first = std::find_if(letters.begin(), letters.end(), IsSmall);
  if (first != letters.end()) *first = SimpleUpper(*first);
  return letters;
}

std::u32string FoldCase(char32_t c) {
  return Mapped(c, UTF8PROC_CASEFOLD);
}

bool IsCaseIgnorable(char32_t c) {
  constexpr std::u32string_view kWithinWords =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return kWithinWords.find(c) != std::u32string_view::npos;
  }
}

}  // namespace baton
