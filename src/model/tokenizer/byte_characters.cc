#include "model/tokenizer/byte_characters.h"

#include <cstdint>

#include "model/text/utf8.h"

namespace baton {
namespace {

bool IsPrintable(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

std::array<std::string, 256> MakeByteCharacters() {
  std::array<std::string, 256> characters;
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = IsPrintable(byte) ? static_cast<char32_t>(byte) : next++;
    characters[static_cast<size_t>(byte)] = ToUtf8(c);
  }
  return characters;
}

// The other way round: the byte of a character below U+0144, or -1.
std::array<int16_t, 324> MakeCharacterBytes() {
  std::array<int16_t, 324> bytes;
  bytes.fill(-1);
  for (int16_t byte = 0; byte < 256; ++byte) {
    const std::string& text = ByteCharacters()[static_cast<size_t>(byte)];
    bytes[Utf8At(text, 0).code_point] = byte;
  }
  return bytes;
}

int ByteOf(char32_t character) {
  static const std::array<int16_t, 324> kBytes = MakeCharacterBytes();
  return character < kBytes.size() ? kBytes[character] : -1;
}

}  // namespace

const std::array<std::string, 256>& ByteCharacters() {
  static const std::array<std::string, 256> kCharacters = MakeByteCharacters();
  return kCharacters;
}

std::string BytesAsCharacters(std::string_view bytes) {
  std::string characters;
  for (const char c : bytes) characters += ByteCharacters()[static_cast<uint8_t>(c)];
  return characters;
}

std::string CharactersAsBytes(std::string_view characters) {
  std::string bytes;
  for (size_t at = 0; at < characters.size();) {
    const Utf8Character character = Utf8At(characters, at);
    const int byte = character.valid ? ByteOf(character.code_point) : -1;
    if (byte >= 0)
      bytes += static_cast<char>(byte);
    else
      bytes += characters.substr(at, character.length);
    at += character.length;
  }
  return bytes;
}

}  // namespace baton
