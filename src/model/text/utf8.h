// UTF-8, one character at a time, for any bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace baton {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

struct Utf8Character {
  char32_t code_point = kReplacementCharacter;
  size_t length = 1;  // bytes; for invalid text, of its maximal invalid part (Unicode 3.9)
  bool valid = false;
  bool cut_off = false;  // invalid only because the text ends inside what could be a character
};

// The character at `position`, which must be inside `text`.
Utf8Character Utf8At(std::string_view text, size_t position);

// The length of the longest valid prefix.
size_t ValidUtf8Prefix(std::string_view text);

// `code_point` in UTF-8; U+FFFD for what is no character.
std::string ToUtf8(char32_t code_point);

// Number of characters; each invalid part counts as one.
size_t CountUtf8(std::string_view text);

}  // namespace baton
