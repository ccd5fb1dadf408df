// Identities that carry their type, so that a layer can never be passed for a token.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace baton {

// A node is its Ed25519 public key: 32 bytes, printed in lower-case base32 without padding.
class NodeId {
 public:
  static constexpr size_t kBytes = 32;

  NodeId() = default;
  explicit NodeId(const std::array<uint8_t, kBytes>& key) : key_(key) {}
  // Nothing unless `text` is exactly what ToString() prints.
  static std::optional<NodeId> Parse(std::string_view text);

  const std::array<uint8_t, kBytes>& key() const { return key_; }
  bool empty() const { return key_ == std::array<uint8_t, kBytes>{}; }
  std::string ToString() const;
  // The first 8 characters: for people and logs, never for decisions.
  std::string Short() const;

  auto operator<=>(const NodeId&) const = default;

 private:
  std::array<uint8_t, kBytes> key_{};
};

// A 64-bit identity drawn at random by its owner, printed as 16 hex digits.
template <typename Tag>
class RandomId {
 public:
  RandomId() = default;
  explicit RandomId(uint64_t value) : value_(value) {}
  uint64_t value() const { return value_; }
  bool empty() const { return value_ == 0; }
  std::string ToString() const;
  auto operator<=>(const RandomId&) const = default;

 private:
  uint64_t value_ = 0;
};

using RequestId = RandomId<struct RequestTag>;    // drawn by the entry node
using InstanceId = RandomId<struct InstanceTag>;  // drawn by the coordinator

// Sixteen lower-case hex digits of `value`.
std::string Hex64(uint64_t value);

template <typename Tag>
std::string RandomId<Tag>::ToString() const {
  return Hex64(value_);
}

// Lower-case RFC 4648 base32 without padding.
std::string Base32(const uint8_t* bytes, size_t count);
// Nothing if a character is outside the alphabet or the trailing bits are not zero.
std::optional<std::string> FromBase32(std::string_view text);

using TokenId = int32_t;  // index into a model's vocabulary

// Layers [first, last) of a model. Whoever holds layer 0 also embeds; whoever holds the last layer
// also projects to logits and samples.
struct LayerRange {
  int32_t first = 0;
  int32_t last = 0;

  int32_t size() const { return last - first; }
  bool Contains(int32_t layer) const { return layer >= first && layer < last; }
  bool operator==(const LayerRange&) const = default;
};

}  // namespace baton

template <>
struct std::hash<baton::NodeId> {
  size_t operator()(const baton::NodeId& id) const noexcept;
};
template <typename Tag>
struct std::hash<baton::RandomId<Tag>> {
  size_t operator()(const baton::RandomId<Tag>& id) const noexcept { return id.value(); }
};
