#include "base/ids.h"

#include <cstring>

#include <fmt/format.h>

namespace baton {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";

}  // namespace

std::string Hex64(uint64_t value) {
  return fmt::format("{:016x}", value);
}

std::string Base32(const uint8_t* bytes, size_t count) {
  std::string text;
  uint32_t buffer = 0;
  int bits = 0;
  for (size_t i = 0; i < count; ++i) {
    buffer = (buffer << 8) | bytes[i];
    for (bits += 8; bits >= 5; bits -= 5) text += kAlphabet[(buffer >> (bits - 5)) & 31];
  }
  if (bits > 0) text += kAlphabet[(buffer << (5 - bits)) & 31];
  return text;
}

std::optional<std::string> FromBase32(std::string_view text) {
  std::string bytes;
  uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    buffer = (buffer << 5) | static_cast<uint32_t>(value);
    bits += 5;
    if (bits >= 8) {
      bytes += static_cast<char>((buffer >> (bits - 8)) & 255);
      bits -= 8;
    }
  }
  const bool clean_tail = bits < 5 && (buffer & ((1u << bits) - 1)) == 0;
  if (!clean_tail) return std::nullopt;
  return bytes;
}

std::optional<NodeId> NodeId::Parse(std::string_view text) {
  const auto bytes = FromBase32(text);
  if (!bytes || bytes->size() != kBytes) return std::nullopt;
  std::array<uint8_t, kBytes> key;
  std::memcpy(key.data(), bytes->data(), kBytes);
  return NodeId(key);
}

std::string NodeId::ToString() const {
  return Base32(key_.data(), key_.size());
}

std::string NodeId::Short() const {
  return ToString().substr(0, 8);
}

}  // namespace baton

size_t std::hash<baton::NodeId>::operator()(const baton::NodeId& id) const noexcept {
  uint64_t word;  // a public key is uniform: any 8 of its bytes are a hash
  std::memcpy(&word, id.key().data(), sizeof word);
  return word;
}
