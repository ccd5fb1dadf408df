// How byte-level vocabularies write bytes: as the character of that number where it is printable,
// else as one of U+0100 onwards.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace baton {

// The character of each byte, as UTF-8.
const std::array<std::string, 256>& ByteCharacters();
std::string BytesAsCharacters(std::string_view bytes);
// The way back; characters that stand for no byte remain.
std::string CharactersAsBytes(std::string_view characters);

}  // namespace baton
