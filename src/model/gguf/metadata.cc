#include "model/gguf/metadata.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace baton::gguf {
namespace {

struct TypeRow {
  std::string_view name;
  size_t bytes;
};
constexpr std::array<TypeRow, 13> kTypes = {{{"u8", 1},
                                             {"i8", 1},
                                             {"u16", 2},
                                             {"i16", 2},
                                             {"u32", 4},
                                             {"i32", 4},
                                             {"f32", 4},
                                             {"bool", 1},
                                             {"string", 0},
                                             {"array", 0},
                                             {"u64", 8},
                                             {"i64", 8},
                                             {"f64", 8}}};

template <typename T>
T Load(const Value& value) {
  T result;
  std::memcpy(&result, value.bytes.data(), sizeof(T));
  return result;
}

// Nothing if the value is no integer, or is above the largest int64_t.
std::optional<int64_t> AsInteger(const Value& value) {
  switch (value.type) {
    case ValueType::kUint8:
      return Load<uint8_t>(value);
    case ValueType::kInt8:
      return Load<int8_t>(value);
    case ValueType::kUint16:
      return Load<uint16_t>(value);
    case ValueType::kInt16:
      return Load<int16_t>(value);
    case ValueType::kUint32:
      return Load<uint32_t>(value);
    case ValueType::kInt32:
      return Load<int32_t>(value);
    case ValueType::kInt64:
      return Load<int64_t>(value);
    case ValueType::kUint64: {
      const auto wide = Load<uint64_t>(value);
      if (wide > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(wide);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> AsNumber(const Value& value) {
  if (value.type == ValueType::kFloat32) return Load<float>(value);
  if (value.type == ValueType::kFloat64) return Load<double>(value);
  const auto integer = AsInteger(value);
  if (!integer) return std::nullopt;
  return static_cast<double>(*integer);
}

Error Missing(std::string_view key) {
  return MakeError(Code::kInvalidArgument, "the file has no key '{}'", key);
}

Error WrongType(std::string_view key, const Value& value, std::string_view wanted) {
  return MakeError(Code::kInvalidArgument, "key '{}' is of type {}, not {}", key,
                   NameOf(value.type), wanted);
}

Result<int64_t> ToInteger(std::string_view key, const Value& value, int64_t min, int64_t max) {
  const auto integer = AsInteger(value);
  if (!integer) return WrongType(key, value, "an integer below 2^63");
  if (*integer < min || *integer > max)
    return MakeError(Code::kInvalidArgument, "key '{}' is {}, outside [{}, {}]", key, *integer, min,
                     max);
  return *integer;
}

Result<double> ToNumber(std::string_view key, const Value& value) {
  const auto number = AsNumber(value);
  if (!number) return WrongType(key, value, "a number");
  if (!std::isfinite(*number))
    return MakeError(Code::kInvalidArgument, "key '{}' is {}, not a finite number", key, *number);
  return *number;
}

Result<std::string_view> ToString(std::string_view key, const Value& value) {
  if (value.type != ValueType::kString) return WrongType(key, value, "string");
  return AsText(value.bytes);
}

}  // namespace

std::string NameOf(ValueType type) {
  const auto number = static_cast<uint32_t>(type);
  return number < kTypes.size() ? std::string(kTypes[number].name) : fmt::format("type {}", number);
}

size_t SizeOf(ValueType type) {
  const auto number = static_cast<uint32_t>(type);
  return number < kTypes.size() ? kTypes[number].bytes : 0;
}

std::string_view StringCursor::Next() {
  const auto length = reader_.Read<uint64_t>();
  const std::string_view text = AsText(reader_.ReadBytes(length));
  CHECK(reader_.ok(), "string cursor past the end");
  return text;
}

Result<Metadata> Metadata::FromEntries(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.key < b.key; });
  for (size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].key == entries[i - 1].key)
      return MakeError(Code::kInvalidArgument, "key '{}' appears twice", entries[i].key);
  }
  Metadata metadata;
  metadata.entries_ = std::move(entries);
  return metadata;
}

const Value* Metadata::Find(std::string_view key) const {
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), key,
                       [](const Entry& entry, std::string_view k) { return entry.key < k; });
  return at != entries_.end() && at->key == key ? &at->value : nullptr;
}

Result<int64_t> Metadata::Integer(std::string_view key, int64_t min, int64_t max) const {
  const Value* value = Find(key);
  return value == nullptr ? Missing(key) : ToInteger(key, *value, min, max);
}

Result<int64_t> Metadata::IntegerOr(std::string_view key, int64_t min, int64_t max,
                                    int64_t otherwise) const {
  const Value* value = Find(key);
  return value == nullptr ? otherwise : ToInteger(key, *value, min, max);
}

Result<double> Metadata::Number(std::string_view key) const {
  const Value* value = Find(key);
  return value == nullptr ? Missing(key) : ToNumber(key, *value);
}

Result<double> Metadata::NumberOr(std::string_view key, double otherwise) const {
  const Value* value = Find(key);
  return value == nullptr ? otherwise : ToNumber(key, *value);
}

Result<bool> Metadata::BoolOr(std::string_view key, bool otherwise) const {
  const Value* value = Find(key);
  if (value == nullptr) return otherwise;
  if (value->type != ValueType::kBool) return WrongType(key, *value, "bool");
  return Load<uint8_t>(*value) != 0;
}

Result<std::string_view> Metadata::String(std::string_view key) const {
  const Value* value = Find(key);
  return value == nullptr ? Missing(key) : ToString(key, *value);
}

Result<std::string_view> Metadata::StringOr(std::string_view key,
                                            std::string_view otherwise) const {
  const Value* value = Find(key);
  return value == nullptr ? otherwise : ToString(key, *value);
}

Result<Value> Metadata::Array(std::string_view key, ValueType element_type) const {
  const Value* value = Find(key);
  if (value == nullptr) return Missing(key);
  if (value->type != ValueType::kArray) return WrongType(key, *value, "array");
  if (value->element_type != element_type)
    return MakeError(Code::kInvalidArgument, "key '{}' is an array of {}, not of {}", key,
                     NameOf(value->element_type), NameOf(element_type));
  return *value;
}

}  // namespace baton::gguf
