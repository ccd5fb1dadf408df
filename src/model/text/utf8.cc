#include "model/text/utf8.h"

namespace baton {
namespace {

struct Lead {
  size_t length;       // of the whole character; 0: cannot begin one
  uint8_t second_min;  // bounds of the second byte: they exclude overlong forms,
  uint8_t second_max;  // surrogates and what lies above U+10FFFF
};

// Table 3-7 of the Unicode standard.
Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Character Utf8At(std::string_view text, size_t position) {
  const auto first = static_cast<uint8_t>(text[position]);
  const Lead lead = LeadOf(first);
  if (lead.length == 0) return {};
  if (lead.length == 1) return {first, 1, true, false};
  char32_t code_point = first & (0x7F >> lead.length);
  for (size_t i = 1; i < lead.length; ++i) {
    if (position + i == text.size()) return {kReplacementCharacter, i, false, true};
    const auto byte = static_cast<uint8_t>(text[position + i]);
    const uint8_t min = i == 1 ? lead.second_min : 0x80;
    const uint8_t max = i == 1 ? lead.second_max : 0xBF;
    if (byte < min || byte > max) return {kReplacementCharacter, i, false, false};
    code_point = code_point << 6 | (byte & 0x3F);
  }
  return {code_point, lead.length, true, false};
}

size_t ValidUtf8Prefix(std::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    const Utf8Character character = Utf8At(text, position);
    if (!character.valid) break;
    position += character.length;
  }
  return position;
}

std::string ToUtf8(char32_t c) {
  if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = kReplacementCharacter;
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

size_t CountUtf8(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += Utf8At(text, at).length) ++count;
  return count;
}

}  // namespace baton
