#include "model/gguf/split.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace baton::gguf {
namespace {

constexpr std::string_view kEnd = ".gguf";
constexpr std::string_view kOf = "-of-";
constexpr size_t kDigits = 5;

// Five digits at the end of `text`, which they are taken off; 0 if there are none.
int TakeNumber(std::string_view& text) {
  if (text.size() < kDigits) return 0;
  const std::string_view digits = text.substr(text.size() - kDigits);
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return 0;
  int number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  text.remove_suffix(kDigits);
  return number;
}

}  // namespace

std::string PartName::PathOf(int other) const {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, other, count, kEnd);
}

std::optional<PartName> ParsePartName(std::string_view path) {
  if (!path.ends_with(kEnd)) return std::nullopt;
  path.remove_suffix(kEnd.size());
  PartName name;
  name.count = TakeNumber(path);
  if (!path.ends_with(kOf)) return std::nullopt;
  path.remove_suffix(kOf.size());
  name.number = TakeNumber(path);
  if (!path.ends_with('-')) return std::nullopt;
  path.remove_suffix(1);
  name.stem = path;
  if (name.stem.empty() || name.number < 1 || name.number > name.count || name.count > kPartsMax)
    return std::nullopt;
  return name;
}

}  // namespace baton::gguf
