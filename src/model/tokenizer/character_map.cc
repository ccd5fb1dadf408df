#include "model/tokenizer/character_map.h"

#include <cstring>

#include "base/bytes.h"
#include "model/text/utf8.h"

namespace baton {
namespace {

// Longer entries do not count. A file can hold a trie that runs in circles; this bounds the work
// for one character of text.
constexpr size_t kEntryBytesMax = 64;

// darts-clone's units.
bool HasLeaf(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t LabelOf(uint32_t unit) {
  return unit & (1u << 31 | 0xFF);
}
uint32_t OffsetOf(uint32_t unit) {
  return unit >> 10 << ((unit & 1u << 9) >> 6);
}

}  // namespace

Result<CharacterMap> CharacterMap::FromBytes(std::span<const uint8_t> bytes) {
  uint32_t trie_bytes = 0;
  if (bytes.size() >= sizeof(trie_bytes))
    std::memcpy(&trie_bytes, bytes.data(), sizeof(trie_bytes));
  if (trie_bytes == 0 || trie_bytes % sizeof(uint32_t) != 0 ||
      trie_bytes > bytes.size() - sizeof(trie_bytes))
    return MakeError(Code::kInvalidArgument,
                     "'precompiled_charsmap' of {} bytes does not hold a trie of {} bytes",
                     bytes.size(), trie_bytes);
  CharacterMap map;
  map.units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(map.units_.data(), bytes.data() + sizeof(trie_bytes), trie_bytes);
  map.replacements_ = AsText(bytes.subspan(sizeof(trie_bytes) + trie_bytes));
  if (ValidUtf8Prefix(map.replacements_) != map.replacements_.size())
    return MakeError(Code::kInvalidArgument,
                     "'precompiled_charsmap' replaces by what is not UTF-8");
  return map;
}

std::optional<std::string_view> CharacterMap::ReplacementAt(uint32_t begin) const {
  if (begin >= replacements_.size()) return std::nullopt;
  const std::string_view rest = std::string_view(replacements_).substr(begin);
  const std::string_view by = rest.substr(0, rest.find('\0'));
  if (ValidUtf8Prefix(by) != by.size()) return std::nullopt;  // it points into a character
  return by;
}

std::optional<CharacterMap::Match> CharacterMap::Find(std::string_view text, bool longest) const {
  std::optional<Match> found;
  text = text.substr(0, kEntryBytesMax);
  uint32_t node = OffsetOf(units_[0]);
  for (size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<uint8_t>(text[at]);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || LabelOf(units_[node]) != byte) break;
    const bool leaf = HasLeaf(units_[node]);
    node ^= OffsetOf(units_[node]);
    if (node >= units_.size()) break;
    if (!leaf) continue;
    const auto by = ReplacementAt(units_[node] & 0x7FFFFFFF);
    if (!by) break;
    found = Match{at + 1, *by};
    if (!longest) break;
  }
  return found;
}

}  // namespace baton
