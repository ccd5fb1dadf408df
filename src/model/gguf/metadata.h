// The typed key-value pairs at the head of a GGUF file. Format: the GGUF specification, versions 2
// and 3. Views point into the header bytes, which gguf::File owns.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace baton::gguf {

enum class ValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// "u32", "string", ...; "type N" for a number outside the format.
std::string NameOf(ValueType type);
// Bytes of one element; 0 for strings and arrays.
size_t SizeOf(ValueType type);

// A value as it lies in the header. A scalar's `bytes` are its own; a string's are its characters;
// an array's are its elements, which have been checked to be there.
struct Value {
  ValueType type = ValueType::kUint8;
  ValueType element_type = ValueType::kUint8;  // arrays only; never kArray
  uint64_t count = 0;                          // arrays only
  std::span<const uint8_t> bytes;
};

// Walks an array of strings that the parser has already checked.
class StringCursor {
 public:
  explicit StringCursor(const Value& array) : reader_(array.bytes) {}
  // The next string. Not to be called more often than the array's count.
  std::string_view Next();

 private:
  ByteReader reader_;
};

// Read-only after parsing; any thread. A getter names the key in its error. Integers of every width
// and sign are widened; one that does not fit [min, max] is an error that shows it.
class Metadata {
 public:
  struct Entry {
    std::string_view key;
    Value value;
  };

  Metadata() = default;
  // Refuses a key that appears twice.
  static Result<Metadata> FromEntries(std::vector<Entry> entries);

  // Sorted by key.
  const std::vector<Entry>& entries() const { return entries_; }
  const Value* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  Result<int64_t> Integer(std::string_view key, int64_t min, int64_t max) const;
  // `otherwise` where the key is absent.
  Result<int64_t> IntegerOr(std::string_view key, int64_t min, int64_t max,
                            int64_t otherwise) const;
  // A finite number.
  Result<double> Number(std::string_view key) const;
  Result<double> NumberOr(std::string_view key, double otherwise) const;
  Result<bool> BoolOr(std::string_view key, bool otherwise) const;
  Result<std::string_view> String(std::string_view key) const;
  Result<std::string_view> StringOr(std::string_view key, std::string_view otherwise) const;
  // The array under `key`, whose elements must have this type.
  Result<Value> Array(std::string_view key, ValueType element_type) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace baton::gguf
