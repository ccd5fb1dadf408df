#include "model/chat_template/text_methods.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <utf8proc.h>

#include "model/chat_template/python_format.h"
#include "model/text/case_mapping.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

int32_t Category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}
bool IsLetter(char32_t c) {
  return Category(c) >= UTF8PROC_CATEGORY_LU && Category(c) <= UTF8PROC_CATEGORY_LO;
}
bool IsDigitLike(char32_t c) {
  return Category(c) >= UTF8PROC_CATEGORY_ND && Category(c) <= UTF8PROC_CATEGORY_NO;
}
bool IsDecimal(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_ND;
}
// Superscripts and subscripts: digits to Python, but no decimals.
bool IsScriptDigit(char32_t c) {
  return c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) ||
         (c >= 0x2080 && c <= 0x2089);
}
bool IsUpperOrTitle(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LU || Category(c) == UTF8PROC_CATEGORY_LT;
}
// Not all of those that have another case are letters: Roman numerals, circled letters.
bool IsSmall(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LL || utf8proc_islower(static_cast<utf8proc_int32_t>(c));
}
bool IsLarge(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LU || utf8proc_isupper(static_cast<utf8proc_int32_t>(c));
}
bool IsCased(char32_t c) {
  return IsSmall(c) || IsLarge(c) || IsUpperOrTitle(c);
}

// Where the character in front of `at` begins.
size_t StepBack(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80);
  return at;
}

// Whether a capital sigma at bytes [at, end) ends a word: SpecialCasing.txt's Final_Sigma.
bool EndsWord(std::string_view text, size_t at, size_t end) {
  char32_t before = 0;
  do {
    if (at == 0) return false;
    at = StepBack(text, at);
    before = Utf8At(text, at).code_point;
  } while (IsCaseIgnorable(before));
  if (!IsCased(before)) return false;
  while (end < text.size()) {
    const Utf8Character after = Utf8At(text, end);
    if (!IsCaseIgnorable(after.code_point)) return !IsCased(after.code_point);
    end += after.length;
  }
  return true;
}

std::string InUtf8(const std::u32string& characters) {
  std::string text;
  for (const char32_t c : characters) text += ToUtf8(c);
  return text;
}

// One character of a text.
struct Letter {
  std::string_view text;
  size_t at = 0;
  Utf8Character character;
  bool after_cased = false;
};

std::string Lower(const Letter& letter) {
  const char32_t c = letter.character.code_point;
  if (c == 0x3A3 && EndsWord(letter.text, letter.at, letter.at + letter.character.length))
    return "\u03C2";
  return InUtf8(LowerCase(c));
}

std::string ChangeCharacter(const Letter& letter, Case to) {
  const char32_t c = letter.character.code_point;
  switch (to) {
    case Case::kLower:
      return Lower(letter);
    case Case::kUpper:
      return InUtf8(UpperCase(c));
    case Case::kSwap:
      if (Category(c) == UTF8PROC_CATEGORY_LT) return ToUtf8(c);
      if (IsLarge(c)) return Lower(letter);
      return IsSmall(c) ? InUtf8(UpperCase(c)) : ToUtf8(c);
    case Case::kTitle:
      return letter.after_cased ? Lower(letter) : InUtf8(TitleCase(c));
    case Case::kCapitalize:
      return letter.at == 0 ? InUtf8(TitleCase(c)) : Lower(letter);
    case Case::kFold:
      return InUtf8(FoldCase(c));
  }
  return {};
}

Result<const Text*> TextArgument(const Value& value, std::string_view function) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (!value.is_text())
    return TypeError(fmt::format("{}() argument must be str, not {}", function, TypeName(value)));
  return &value.text();
}

Result<int64_t> IntegerArgument(const std::optional<Value>& value, int64_t otherwise) {
  if (!value || value->is_none()) return otherwise;
  if (!value->is_integer())
    return TypeError(
        fmt::format("'{}' object cannot be interpreted as an integer", TypeName(*value)));
  return value->integer();
}

// Where character `index` begins; the end if there are fewer.
size_t ByteOffset(std::string_view text, int64_t index) {
  size_t at = 0;
  for (int64_t i = 0; i < index && at < text.size(); ++i) at += Utf8At(text, at).length;
  return at;
}

// The part of `self` that optional start and stop arguments select, as byte offsets.
Result<Span> Window(const Text& self, const std::optional<Value>& start,
                    const std::optional<Value>& stop) {
  if (!start && !stop) return Span{0, self.bytes().size()};
  const auto length = static_cast<int64_t>(CountUtf8(self.bytes()));
  BATON_ASSIGN_OR_RETURN(int64_t from, IntegerArgument(start, 0));
  BATON_ASSIGN_OR_RETURN(int64_t to, IntegerArgument(stop, length));
  if (from < 0) from = std::max<int64_t>(0, from + length);
  if (to < 0) to = std::max<int64_t>(0, to + length);
  to = std::min(to, length);
  if (from > to) return Span{self.bytes().size(), self.bytes().size()};
  return Span{ByteOffset(self.bytes(), from), ByteOffset(self.bytes(), to)};
}

// --- splitting ------------------------------------------------------------------------------

Result<Value> SplitAt(Runtime& runtime, const Text& self, const std::string& separator,
                      int64_t max_splits) {
  if (separator.empty()) return TypeError("empty separator");
  std::vector<Value> parts;
  size_t begin = 0;
  while (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) {
    const size_t found = self.bytes().find(separator, begin);
    if (found == std::string::npos) break;
    parts.push_back(Slice(runtime, self, begin, found));
    BATON_RETURN_IF_ERROR(runtime.Step());
    begin = found + separator.size();
  }
  parts.push_back(Slice(runtime, self, begin, self.bytes().size()));
  return runtime.MakeList(std::move(parts));
}

Result<Value> SplitAtFromRight(Runtime& runtime, const Text& self, const std::string& separator,
                               int64_t max_splits) {
  if (separator.empty()) return TypeError("empty separator");
  std::vector<Value> parts;
  size_t end = self.bytes().size();
  while (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) {
    if (end < separator.size()) break;
    const size_t found = self.bytes().rfind(separator, end - separator.size());
    if (found == std::string::npos) break;
    parts.push_back(Slice(runtime, self, found + separator.size(), end));
    BATON_RETURN_IF_ERROR(runtime.Step());
    end = found;
  }
  parts.push_back(Slice(runtime, self, 0, end));
  std::reverse(parts.begin(), parts.end());
  return runtime.MakeList(std::move(parts));
}

// The words of a text, as byte ranges.
std::vector<Span> Words(std::string_view text) {
  std::vector<Span> words;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    const bool space = IsSpace(character.code_point);
    if (!space && !inside) words.push_back({at, at});
    if (!space) words.back().end = at + character.length;
    inside = !space;
    at += character.length;
  }
  return words;
}

Result<Value> SplitAtSpaces(Runtime& runtime, const Text& self, int64_t max_splits,
                            bool from_right) {
  std::vector<Span> words = Words(self.bytes());
  BATON_RETURN_IF_ERROR(runtime.Step(words.size()));
  const auto count = static_cast<int64_t>(words.size());
  if (max_splits >= 0 && count > max_splits + 1) {
    const auto keep = static_cast<size_t>(max_splits);
    if (from_right) {
      const size_t merged = words.size() - keep;
      words[merged - 1].begin = 0;  // keeps the white space in front
      words.erase(words.begin(), words.begin() + static_cast<ptrdiff_t>(merged - 1));
    } else {
      // The last part keeps what follows it but for white space at the end of the text.
      words[keep].end = self.bytes().size();
      words.resize(keep + 1);
    }
  }
  std::vector<Value> parts;
  for (const Span& word : words) parts.push_back(Slice(runtime, self, word.begin, word.end));
  return runtime.MakeList(std::move(parts));
}

Result<Value> SplitEither(Runtime& runtime, const Value& self, const Arguments& arguments,
                          bool from_right) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("split", {"sep", "maxsplit"}));
  BATON_ASSIGN_OR_RETURN(const int64_t max_splits, IntegerArgument(bound[1], -1));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(self.bytes().size()));
  if (!bound[0] || bound[0]->is_none())
    return SplitAtSpaces(runtime, self.text(), max_splits, from_right);
  BATON_ASSIGN_OR_RETURN(const Text* separator, TextArgument(*bound[0], "split"));
  return from_right ? SplitAtFromRight(runtime, self.text(), separator->bytes(), max_splits)
                    : SplitAt(runtime, self.text(), separator->bytes(), max_splits);
}

Result<Value> Split(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return SplitEither(runtime, self, arguments, false);
}
Result<Value> RSplit(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return SplitEither(runtime, self, arguments, true);
}

Result<Value> SplitLines(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("splitlines", {"keepends"}));
  const bool keep_ends = bound[0] && IsTruthy(*bound[0]);
  const std::string& bytes = self.bytes();
  BATON_RETURN_IF_ERROR(runtime.StepBytes(bytes.size()));
  std::vector<Value> lines;
  for (const Span& line : LinesOf(bytes, keep_ends)) {
    BATON_RETURN_IF_ERROR(runtime.Step());
    lines.push_back(Slice(runtime, self.text(), line.begin, line.end));
  }
  return runtime.MakeList(std::move(lines));
}

Result<Value> PartitionEither(Runtime& runtime, const Value& self, const Arguments& arguments,
                              bool from_right) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("partition", {"sep"}, 1));
  BATON_ASSIGN_OR_RETURN(const Text* separator, TextArgument(*bound[0], "partition"));
  if (separator->bytes().empty()) return TypeError("empty separator");
  const std::string& bytes = self.bytes();
  BATON_RETURN_IF_ERROR(runtime.StepBytes(bytes.size()));
  const size_t found =
      from_right ? bytes.rfind(separator->bytes()) : bytes.find(separator->bytes());
  const Value empty = runtime.MakeText("");
  if (found == std::string::npos) {
    std::vector<Value> parts = {self, empty, empty};
    if (from_right) std::reverse(parts.begin(), parts.end());
    return runtime.MakeList(std::move(parts), ListKind::kTuple);
  }
  const size_t end = found + separator->bytes().size();
  return runtime.MakeList(
      {Slice(runtime, self.text(), 0, found), Slice(runtime, self.text(), found, end),
       Slice(runtime, self.text(), end, bytes.size())},
      ListKind::kTuple);
}

Result<Value> Partition(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return PartitionEither(runtime, self, arguments, false);
}
Result<Value> RPartition(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return PartitionEither(runtime, self, arguments, true);
}

// --- stripping ------------------------------------------------------------------------------

Result<Value> StripSide(Runtime& runtime, const Value& self, const Arguments& arguments,
                        Side side) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("strip", {"chars"}));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(self.bytes().size()));
  if (!bound[0] || bound[0]->is_none()) return StripText(runtime, self, nullptr, side);
  BATON_ASSIGN_OR_RETURN(const Text* characters, TextArgument(*bound[0], "strip"));
  return StripText(runtime, self, &characters->bytes(), side);
}
Result<Value> Strip(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return StripSide(runtime, self, arguments, Side::kBoth);
}
Result<Value> LStrip(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return StripSide(runtime, self, arguments, Side::kLeft);
}
Result<Value> RStrip(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return StripSide(runtime, self, arguments, Side::kRight);
}

Result<Value> RemovePrefix(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("removeprefix", {"prefix"}, 1));
  BATON_ASSIGN_OR_RETURN(const Text* prefix, TextArgument(*bound[0], "removeprefix"));
  if (!self.bytes().starts_with(prefix->bytes())) return self;
  return Slice(runtime, self.text(), prefix->bytes().size(), self.bytes().size());
}
Result<Value> RemoveSuffix(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("removesuffix", {"suffix"}, 1));
  BATON_ASSIGN_OR_RETURN(const Text* suffix, TextArgument(*bound[0], "removesuffix"));
  if (!self.bytes().ends_with(suffix->bytes())) return self;
  return Slice(runtime, self.text(), 0, self.bytes().size() - suffix->bytes().size());
}

// --- searching ------------------------------------------------------------------------------

Result<Value> TestEnd(const Value& self, const Arguments& arguments, bool at_start) {
  const std::string_view function = at_start ? "startswith" : "endswith";
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind(function, {"text", "start", "end"}, 1));
  BATON_ASSIGN_OR_RETURN(const Span window, Window(self.text(), bound[1], bound[2]));
  const std::string_view part =
      std::string_view(self.bytes()).substr(window.begin, window.end - window.begin);
  std::vector<Value> wanted = {*bound[0]};
  if (bound[0]->is_list() && bound[0]->list().kind == ListKind::kTuple)
    wanted = bound[0]->list().items;
  for (const Value& value : wanted) {
    BATON_ASSIGN_OR_RETURN(const Text* text, TextArgument(value, function));
    if (at_start ? part.starts_with(text->bytes()) : part.ends_with(text->bytes()))
      return Value(true);
  }
  return Value(false);
}
Result<Value> StartsWith(Runtime&, const Value& self, const Arguments& arguments) {
  return TestEnd(self, arguments, true);
}
Result<Value> EndsWith(Runtime&, const Value& self, const Arguments& arguments) {
  return TestEnd(self, arguments, false);
}

// The character index of the first (or last) occurrence, or -1.
Result<int64_t> FindEither(Runtime& runtime, const Value& self, const Arguments& arguments,
                           bool last) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("find", {"sub", "start", "end"}, 1));
  BATON_ASSIGN_OR_RETURN(const Text* wanted, TextArgument(*bound[0], "find"));
  BATON_ASSIGN_OR_RETURN(const Span window, Window(self.text(), bound[1], bound[2]));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(self.bytes().size()));
  const std::string_view part =
      std::string_view(self.bytes()).substr(window.begin, window.end - window.begin);
  const size_t found = last ? part.rfind(wanted->bytes()) : part.find(wanted->bytes());
  if (found == std::string_view::npos) return int64_t{-1};
  return static_cast<int64_t>(
      CountUtf8(std::string_view(self.bytes()).substr(0, window.begin + found)));
}
Result<Value> Find(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const int64_t index, FindEither(runtime, self, arguments, false));
  return Value(index);
}
Result<Value> RFind(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const int64_t index, FindEither(runtime, self, arguments, true));
  return Value(index);
}
Result<Value> Index(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const int64_t index, FindEither(runtime, self, arguments, false));
  if (index < 0) return TypeError("substring not found");
  return Value(index);
}
Result<Value> RIndex(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const int64_t index, FindEither(runtime, self, arguments, true));
  if (index < 0) return TypeError("substring not found");
  return Value(index);
}

Result<Value> Count(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("count", {"sub", "start", "end"}, 1));
  BATON_ASSIGN_OR_RETURN(const Text* wanted, TextArgument(*bound[0], "count"));
  BATON_ASSIGN_OR_RETURN(const Span window, Window(self.text(), bound[1], bound[2]));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(self.bytes().size()));
  const std::string_view part =
      std::string_view(self.bytes()).substr(window.begin, window.end - window.begin);
  if (wanted->bytes().empty()) return Value(static_cast<int64_t>(CountUtf8(part)) + 1);
  int64_t count = 0;
  for (size_t at = part.find(wanted->bytes()); at != std::string_view::npos;
       at = part.find(wanted->bytes(), at + wanted->bytes().size()))
    ++count;
  return Value(count);
}

// --- tests ----------------------------------------------------------------------------------

template <typename Predicate>
Result<Value> AllCharacters(const Value& self, const Arguments& arguments, Predicate predicate,
                            bool of_empty = false) {
  BATON_RETURN_IF_ERROR(arguments.Bind("is...", {}));
  const std::string& bytes = self.bytes();
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Character character = Utf8At(bytes, at);
    if (!predicate(character.code_point)) return Value(false);
    at += character.length;
  }
  return Value(!bytes.empty() || of_empty);
}
Result<Value> IsDigit(Runtime&, const Value& self, const Arguments& arguments) {
  return AllCharacters(self, arguments,
                       [](char32_t c) { return IsDecimal(c) || IsScriptDigit(c); });
}
Result<Value> IsDecimalMethod(Runtime&, const Value& self, const Arguments& arguments) {
  return AllCharacters(self, arguments, IsDecimal);
}
Result<Value> IsNumeric(Runtime&, const Value& self, const Arguments& arguments) {
  return AllCharacters(self, arguments, IsDigitLike);
}
Result<Value> IsAlpha(Runtime&, const Value& self, const Arguments& arguments) {
  return AllCharacters(self, arguments, IsLetter);
}
Result<Value> IsAlnum(Runtime&, const Value& self, const Arguments& arguments) {
  return AllCharacters(self, arguments, IsLetterOrDigit);
}
Result<Value> IsAscii(Runtime&, const Value& self, const Arguments& arguments) {
  return AllCharacters(
      self, arguments, [](char32_t c) { return c < 128; }, true);
}
Result<Value> IsSpaceMethod(Runtime&, const Value& self, const Arguments& arguments) {
  return AllCharacters(self, arguments, IsSpace);
}

// No control characters, nothing unassigned, and of all white space the plain one alone.
Result<Value> IsPrintable(Runtime&, const Value& self, const Arguments& arguments) {
  const auto printable = [](char32_t c) {
    const auto category = Category(c);
    return c == ' ' || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_SO);
  };
  return AllCharacters(self, arguments, printable, true);
}

Result<Value> IsIdentifier(Runtime&, const Value& self, const Arguments& arguments) {
  bool first = true;
  const auto fits = [&first](char32_t c) {
    const auto category = Category(c);
    const bool begins = c == '_' || IsLetter(c) || category == UTF8PROC_CATEGORY_NL;
    const bool continues = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                           category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_PC ||
                           c == 0xB7 || c == 0x387;
    return (!std::exchange(first, false) && continues) || begins;
  };
  return AllCharacters(self, arguments, fits);
}

// Some cased character, and none of the other case.
Result<Value> HasOnlyCase(const Value& self, bool upper) {
  bool cased = false;
  for (size_t at = 0; at < self.bytes().size();) {
    const Utf8Character character = Utf8At(self.bytes(), at);
    if (IsCased(character.code_point) && IsUpperOrTitle(character.code_point) != upper)
      return Value(false);
    cased = cased || IsCased(character.code_point);
    at += character.length;
  }
  return Value(cased);
}
Result<Value> IsUpper(Runtime&, const Value& self, const Arguments&) {
  return HasOnlyCase(self, true);
}
Result<Value> IsLower(Runtime&, const Value& self, const Arguments&) {
  return HasOnlyCase(self, false);
}

Result<Value> IsTitle(Runtime&, const Value& self, const Arguments&) {
  bool cased = false;
  bool after_cased = false;
  for (size_t at = 0; at < self.bytes().size();) {
    const Utf8Character character = Utf8At(self.bytes(), at);
    const bool is_cased = IsCased(character.code_point);
    if (is_cased && IsUpperOrTitle(character.code_point) == after_cased) return Value(false);
    cased = cased || is_cased;
    after_cased = is_cased;
    at += character.length;
  }
  return Value(cased);
}

// --- case, padding, joining -----------------------------------------------------------------

template <Case to>
Result<Value> ChangeCaseMethod(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("case method", {}));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(self.bytes().size() * 8));
  return ChangeCase(runtime, self.text(), to);
}

// `text` with `left` and `right` times `fill` around it.
Result<Value> PadText(Runtime& runtime, const Text& text, int64_t left, int64_t right,
                      const Text& fill) {
  const auto times = static_cast<uint64_t>(left) + static_cast<uint64_t>(right);
  if (times > runtime.heap.max_bytes()) return runtime.heap.Reserve(times).error();
  BATON_RETURN_IF_ERROR(runtime.heap.Reserve(times * fill.bytes().size()));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(times * 8));
  TextBuilder builder;
  for (int64_t i = 0; i < left; ++i) builder.Append(fill);
  builder.Append(text);
  for (int64_t i = 0; i < right; ++i) builder.Append(fill);
  return runtime.MakeText(std::move(builder));
}

template <Side side>
Result<Value> Justify(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("ljust", {"width", "fillchar"}, 1));
  BATON_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(bound[0], 0));
  const Text space(" ");
  const Text* fill = &space;
  if (bound[1]) {
    BATON_ASSIGN_OR_RETURN(fill, TextArgument(*bound[1], "ljust"));
    if (CountUtf8(fill->bytes()) != 1)
      return TypeError("The fill character must be exactly one character long");
  }
  const int64_t missing = width - static_cast<int64_t>(CountUtf8(self.bytes()));
  if (missing <= 0) return self;
  // Python puts the odd one left when the width is odd, too.
  const int64_t left = side == Side::kLeft    ? 0
                       : side == Side::kRight ? missing
                                              : missing / 2 + (missing & width & 1);
  return PadText(runtime, self.text(), left, missing - left, *fill);
}

Result<Value> ZFill(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("zfill", {"width"}, 1));
  BATON_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(bound[0], 0));
  const int64_t missing = width - static_cast<int64_t>(CountUtf8(self.bytes()));
  if (missing <= 0) return self;
  const bool has_sign = self.bytes().starts_with('-') || self.bytes().starts_with('+');
  const size_t sign = has_sign ? 1 : 0;
  BATON_ASSIGN_OR_RETURN(
      const Value padded,
      PadText(runtime, Slice(runtime, self.text(), sign, self.bytes().size()).text(), missing, 0,
              Text("0")));
  TextBuilder builder;
  builder.AppendSlice(self.text(), 0, sign);
  builder.Append(padded.text());
  return runtime.MakeText(std::move(builder));
}

Result<Value> ExpandTabs(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("expandtabs", {"tabsize"}));
  BATON_ASSIGN_OR_RETURN(const int64_t size, IntegerArgument(bound[0], 8));
  if (size > 1024) return TypeError("tabsize is too large");
  BATON_RETURN_IF_ERROR(runtime.heap.Reserve(self.bytes().size() *
                                             static_cast<uint64_t>(std::max<int64_t>(size, 1))));
  TextBuilder builder;
  int64_t column = 0;
  for (size_t at = 0; at < self.bytes().size(); ++at) {
    const char c = self.bytes()[at];
    if (c == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      builder.Append(std::string(static_cast<size_t>(spaces), ' '));
      column += spaces;
      continue;
    }
    builder.AppendSlice(self.text(), at, at + 1);
    const bool continues = (static_cast<uint8_t>(c) & 0xC0) == 0x80;
    column = c == '\n' || c == '\r' ? 0 : column + (continues ? 0 : 1);
  }
  return runtime.MakeText(std::move(builder));
}

Result<Value> Join(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("join", {"iterable"}, 1));
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, *bound[0]));
  TextBuilder builder;
  for (size_t i = 0; i < items.size(); ++i) {
    BATON_ASSIGN_OR_RETURN(const Text* item, TextArgument(items[i], "join"));
    if (i > 0) builder.Append(self.text());
    builder.Append(*item);
    BATON_RETURN_IF_ERROR(runtime.StepBytes(item->bytes().size() + self.bytes().size()));
    BATON_RETURN_IF_ERROR(runtime.heap.Reserve(builder.size()));
  }
  return runtime.MakeText(std::move(builder));
}

Result<Value> Replace(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("replace", {"old", "new", "count"}, 2));
  BATON_ASSIGN_OR_RETURN(const Text* from, TextArgument(*bound[0], "replace"));
  BATON_ASSIGN_OR_RETURN(const Text* to, TextArgument(*bound[1], "replace"));
  BATON_ASSIGN_OR_RETURN(const int64_t count, IntegerArgument(bound[2], -1));
  return ReplaceText(runtime, self.text(), *from, *to, count);
}

Result<Value> Format(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(runtime.StepBytes(self.bytes().size()));
  return BraceFormat(runtime, self.text(), arguments);
}

Result<Value> FormatMap(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("format_map", {"mapping"}, 1));
  if (!bound[0]->is_dict())
    return TypeError(fmt::format("'{}' object is not a mapping", TypeName(*bound[0])));
  Arguments members;
  for (const auto& [key, value] : bound[0]->dict().entries()) {
    if (key.is_text()) members.named.emplace_back(key.bytes(), value);
  }
  BATON_RETURN_IF_ERROR(runtime.Step(members.named.size()));
  return Format(runtime, self, members);
}

// There, so that templates that ask for it go Python's way; bytes and tables have no values here.
Result<Value> NotHere(Runtime&, const Value&, const Arguments&) {
  return MakeError(Code::kUnimplemented,
                   "the text methods encode, maketrans and translate are not supported");
}

struct Row {
  std::string_view name;
  Method method;
};
constexpr Row kMethods[] = {
    {"capitalize", ChangeCaseMethod<Case::kCapitalize>},
    {"casefold", ChangeCaseMethod<Case::kFold>},
    {"center", Justify<Side::kBoth>},
    {"count", Count},
    {"encode", NotHere},
    {"endswith", EndsWith},
    {"expandtabs", ExpandTabs},
    {"find", Find},
    {"format", Format},
    {"format_map", FormatMap},
    {"index", Index},
    {"isalnum", IsAlnum},
    {"isalpha", IsAlpha},
    {"isascii", IsAscii},
    {"isdecimal", IsDecimalMethod},
    {"isdigit", IsDigit},
    {"isidentifier", IsIdentifier},
    {"islower", IsLower},
    {"isnumeric", IsNumeric},
    {"isprintable", IsPrintable},
    {"isspace", IsSpaceMethod},
    {"istitle", IsTitle},
    {"isupper", IsUpper},
    {"join", Join},
    {"ljust", Justify<Side::kLeft>},
    {"lower", ChangeCaseMethod<Case::kLower>},
    {"lstrip", LStrip},
    {"maketrans", NotHere},
    {"partition", Partition},
    {"removeprefix", RemovePrefix},
    {"removesuffix", RemoveSuffix},
    {"replace", Replace},
    {"rfind", RFind},
    {"rindex", RIndex},
    {"rjust", Justify<Side::kRight>},
    {"rpartition", RPartition},
    {"rsplit", RSplit},
    {"rstrip", RStrip},
    {"split", Split},
    {"splitlines", SplitLines},
    {"startswith", StartsWith},
    {"strip", Strip},
    {"swapcase", ChangeCaseMethod<Case::kSwap>},
    {"title", ChangeCaseMethod<Case::kTitle>},
    {"translate", NotHere},
    {"upper", ChangeCaseMethod<Case::kUpper>},
    {"zfill", ZFill},
};

// Whether `character` is one of those in `characters`; white space where that is absent.
bool IsStripped(char32_t character, const std::string* characters) {
  if (characters == nullptr) return IsSpace(character);
  return characters->find(ToUtf8(character)) != std::string::npos;
}

// Where the last character of text[begin, end) begins.
size_t LastCharacter(std::string_view text, size_t begin, size_t end) {
  size_t at = end - 1;
  while (at > begin && end - at < 4 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

Method FindTextMethod(std::string_view name) {
  for (const Row& row : kMethods) {
    if (row.name == name) return row.method;
  }
  return nullptr;
}

bool IsSpace(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool IsLetterOrDigit(char32_t c) {
  return IsLetter(c) || IsDigitLike(c);
}

std::vector<Span> LinesOf(std::string_view text, bool keep_ends) {
  const auto ends = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  std::vector<Span> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    const size_t end = at;
    at += character.length;
    if (!ends(character.code_point)) continue;
    if (character.code_point == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back({begin, keep_ends ? at : end});
    begin = at;
  }
  if (begin < text.size()) lines.push_back({begin, text.size()});
  return lines;
}

Value StripText(Runtime& runtime, const Value& value, const std::string* characters, Side side) {
  const std::string& bytes = value.bytes();
  size_t begin = 0;
  size_t end = bytes.size();
  while (side != Side::kRight && begin < end) {
    const Utf8Character first = Utf8At(bytes, begin);
    if (!IsStripped(first.code_point, characters)) break;
    begin += first.length;
  }
  while (side != Side::kLeft && begin < end) {
    const size_t last = LastCharacter(bytes, begin, end);
    if (!IsStripped(Utf8At(bytes, last).code_point, characters)) break;
    end = last;
  }
  if (begin == 0 && end == bytes.size()) return value;
  return Slice(runtime, value.text(), begin, end);
}

Result<Value> ReplaceText(Runtime& runtime, const Text& text, const Text& from, const Text& to,
                          int64_t count) {
  BATON_RETURN_IF_ERROR(runtime.StepBytes(text.bytes().size()));
  TextBuilder builder;
  size_t begin = 0;
  size_t search = 0;
  for (int64_t done = 0; count < 0 || done < count; ++done) {
    const size_t found = text.bytes().find(from.bytes(), search);
    if (found == std::string::npos) break;
    builder.AppendSlice(text, begin, found);
    builder.Append(to);
    begin = found + from.bytes().size();
    search = begin;
    BATON_RETURN_IF_ERROR(runtime.StepBytes(to.bytes().size()));
    BATON_RETURN_IF_ERROR(runtime.heap.Reserve(builder.size()));
    if (!from.bytes().empty()) continue;
    // An empty text is found between all characters.
    if (found == text.bytes().size()) break;
    search = found + Utf8At(text.bytes(), found).length;
  }
  builder.AppendSlice(text, begin, text.bytes().size());
  return runtime.MakeText(std::move(builder));
}

Value ChangeCase(Runtime& runtime, const Text& text, Case to) {
  TextBuilder builder;
  bool after_cased = false;
  size_t span = 0;
  for (size_t at = 0; at < text.bytes().size();) {
    const Utf8Character character = Utf8At(text.bytes(), at);
    while (span < text.untrusted().size() && text.untrusted()[span].end <= at) ++span;
    const bool untrusted = span < text.untrusted().size() && text.untrusted()[span].begin <= at;
    builder.AppendDerived(ChangeCharacter({text.bytes(), at, character, after_cased}, to),
                          untrusted);
    after_cased = IsCased(character.code_point);
    at += character.length;
  }
  return runtime.MakeText(std::move(builder));
}

std::string ToLower(std::string_view text) {
  std::string lower;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    lower += Lower({text, at, character});
    at += character.length;
  }
  return lower;
}

Value Slice(Runtime& runtime, const Text& text, size_t begin, size_t end) {
  TextBuilder builder;
  builder.AppendSlice(text, begin, end);
  return runtime.MakeText(std::move(builder));
}

Result<Value> CenterText(Runtime& runtime, const Text& text, int64_t width) {
  const int64_t missing = width - static_cast<int64_t>(CountUtf8(text.bytes()));
  const int64_t left = missing <= 0 ? 0 : missing / 2 + (missing & width & 1);
  return PadText(runtime, text, left, std::max<int64_t>(0, missing) - left, Text(" "));
}

}  // namespace baton::jinja
