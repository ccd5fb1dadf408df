#include "model/tokenizer/pipeline/precompiled.h"

#include <algorithm>
#include <cstring>

#include <utf8proc.h>

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
  uint32_t trie_bytes = 0;
  if (bytes.size() >= sizeof(trie_bytes))
    std::memcpy(&trie_bytes, bytes.data(), sizeof(trie_bytes));
  if (trie_bytes == 0 || trie_bytes % sizeof(uint32_t) != 0 ||
      trie_bytes > bytes.size() - sizeof(trie_bytes))
    return MakeError(Code::kInvalidArgument,
                     "'precompiled_charsmap' of {} bytes does not hold a trie of {} bytes",
                     bytes.size(), trie_bytes);
  Precompiled precompiled;
  precompiled.units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(precompiled.units_.data(), bytes.data() + sizeof(trie_bytes), trie_bytes);
  precompiled.replacements_ = bytes.substr(sizeof(trie_bytes) + trie_bytes);
  if (ValidUtf8Prefix(precompiled.replacements_) != precompiled.replacements_.size())
    return MakeError(Code::kInvalidArgument,
                     "'precompiled_charsmap' replaces by what is not UTF-8");
  return precompiled;
}

std::optional<std::string_view> Precompiled::Find(std::string_view text) const {
  uint32_t node = OffsetOf(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || LabelOf(units_[node]) != byte) break;
    const bool leaf = HasLeaf(units_[node]);
    node ^= OffsetOf(units_[node]);
    if (node >= units_.size()) break;
    if (!leaf) continue;
    const uint32_t begin = units_[node] & 0x7FFFFFFF;
    if (begin >= replacements_.size()) break;
    const std::string_view rest = std::string_view(replacements_).substr(begin);
    const std::string_view by = rest.substr(0, rest.find('\0'));
    if (ValidUtf8Prefix(by) != by.size()) break;  // it points into a character
    return by;
  }
  return std::nullopt;
}

std::vector<TextEdit> Precompiled::Edits(std::string_view text) const {
  std::vector<TextEdit> edits;
  for (size_t at = 0; at < text.size();) {
    const size_t end = ClusterEnd(text, at);
    if (end - at <= kWholeClusterBytesMax) {
      if (const auto by = Find(text.substr(at, end - at))) {
        edits.push_back({at, end, std::string(*by)});
        at = end;
        continue;
      }
    }
    while (at < end) {
      const size_t length = Utf8At(text, at).length;
      if (const auto by = Find(text.substr(at, length)))
        edits.push_back({at, at + length, std::string(*by)});
      at += length;
    }
  }
  return edits;
}

}  // namespace baton
