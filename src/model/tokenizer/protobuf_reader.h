// Reads protobuf's wire format field by field, in place: a message of many small parts would take
// many times its size as objects. Format: protobuf's "Encoding" page; groups are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace baton {

// One field of a message. A getter is an error that names the field where its wire type is another.
class ProtobufField {
 public:
  uint32_t number() const { return number_; }
  Result<uint64_t> Integer() const;
  // Whether an integer is not zero.
  Result<bool> Bool() const;
  Result<float> Float() const;
  Result<std::span<const uint8_t>> Bytes() const;
  Result<std::string_view> Text() const;

 private:
  friend class ProtobufReader;
  enum class Kind : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  Error WrongKind(std::string_view wanted) const;

  uint32_t number_ = 0;
  Kind kind_ = Kind::kVarint;
  uint64_t value_ = 0;
  std::span<const uint8_t> bytes_;
};

// The fields of a message, in the order of the bytes, which must outlive it.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::span<const uint8_t> message) : reader_(message) {}
  // Nothing at the end.
  Result<std::optional<ProtobufField>> Next();

 private:
  Result<uint64_t> ReadVarint();
  ByteReader reader_;
};

}  // namespace baton
