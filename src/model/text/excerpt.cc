#include "model/text/excerpt.h"

#include <algorithm>

#include <fmt/format.h>

namespace baton {
namespace {

bool IsInsideCharacter(std::string_view text, size_t position) {
  return position < text.size() && (static_cast<unsigned char>(text[position]) & 0xC0) == 0x80;
}

}  // namespace

std::string Excerpt(std::string_view text, size_t bytes_max) {
  constexpr size_t kMarkBytesMax = 32;
  if (text.size() <= bytes_max) return std::string(text);
  const size_t shown = bytes_max - std::min(bytes_max, kMarkBytesMax);
  size_t end = shown * 2 / 3;
  size_t begin = text.size() - shown / 3;
  while (end > 0 && IsInsideCharacter(text, end)) --end;
  while (IsInsideCharacter(text, begin)) ++begin;
  return fmt::format("{} [{} bytes] {}", text.substr(0, end), begin - end, text.substr(begin));
}

}  // namespace baton
