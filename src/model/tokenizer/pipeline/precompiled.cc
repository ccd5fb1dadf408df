#include "model/tokenizer/pipeline/precompiled.h"

#include <string>

#include <utf8proc.h>

#include "base/bytes.h"
#include "model/text/utf8.h"

namespace baton {
namespace {

constexpr size_t kWholeClusterBytesMax = 5;

int ValueOfBase64(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

Result<std::string> DecodeBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = ValueOfBase64(c);
    if (value < 0)
      return MakeError(Code::kInvalidArgument, "'precompiled_charsmap' is not base64: '{}'", c);
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFF);
  }
  return bytes;
}

// The end of the grapheme cluster that begins at `at`.
size_t ClusterEnd(std::string_view text, size_t at) {
  utf8proc_int32_t state = 0;
  Utf8Character character = Utf8At(text, at);
  for (at += character.length; at < text.size(); at += character.length) {
    const auto before = static_cast<utf8proc_int32_t>(character.code_point);
    character = Utf8At(text, at);
    if (utf8proc_grapheme_break_stateful(
            before, static_cast<utf8proc_int32_t>(character.code_point), &state))
      break;
  }
  return at;
}

}  // namespace

Result<Precompiled> Precompiled::FromBase64(std::string_view blob) {
  BATON_ASSIGN_OR_RETURN(const std::string bytes, DecodeBase64(blob));
  BATON_ASSIGN_OR_RETURN(CharacterMap map, CharacterMap::FromBytes(AsBytes(bytes)));
  return Precompiled(std::move(map));
}

std::vector<TextEdit> Precompiled::Edits(std::string_view text) const {
  std::vector<TextEdit> edits;
  for (size_t at = 0; at < text.size();) {
    const size_t end = ClusterEnd(text, at);
    if (end - at <= kWholeClusterBytesMax) {
      if (const auto match = map_.Shortest(text.substr(at, end - at))) {
        edits.push_back({at, end, std::string(match->by)});
        at = end;
        continue;
      }
    }
    while (at < end) {
      const size_t length = Utf8At(text, at).length;
      if (const auto match = map_.Shortest(text.substr(at, length)))
        edits.push_back({at, at + length, std::string(match->by)});
      at += length;
    }
  }
  return edits;
}

}  // namespace baton
