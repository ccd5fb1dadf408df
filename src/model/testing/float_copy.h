// A model file again with all weights as F32, exactly: what its quantised arithmetic is judged by.
#pragma once

#include <functional>
#include <vector>

#include "base/check.h"
#include "model/gguf/reader.h"
#include "model/gguf/writer.h"

namespace baton {

// Copies one metadata entry of a kind that the project's own files have.
inline void CopyEntry(const gguf::Metadata::Entry& entry, gguf::HeaderBuilder& header) {
  using gguf::ValueType;
  const gguf::Value& value = entry.value;
  const auto scalar = [&]<typename T>(T number) {
    std::memcpy(&number, value.bytes.data(), sizeof(number));
    return number;
  };
  const std::string_view text(reinterpret_cast<const char*>(value.bytes.data()),
                              value.bytes.size());
  switch (value.type) {
    case ValueType::kUint32:
      return header.AddUint32(entry.key, scalar(uint32_t{}));
    case ValueType::kInt32:
      return header.AddInt32(entry.key, scalar(int32_t{}));
    case ValueType::kFloat32:
      return header.AddFloat32(entry.key, scalar(float{}));
    case ValueType::kBool:
      return header.AddBool(entry.key, value.bytes[0] != 0);
    case ValueType::kString:
      return header.AddString(entry.key, text);
    case ValueType::kArray:
      break;
    default:
      CHECK(false, "{} is of a type that no test has", entry.key);
  }
  if (value.element_type == ValueType::kString) {
    gguf::StringCursor cursor(value);
    std::vector<std::string> strings;
    for (uint64_t i = 0; i < value.count; ++i) strings.emplace_back(cursor.Next());
    return header.AddStrings(entry.key, strings);
  }
  CHECK(value.element_type == ValueType::kInt32, "{} is an array that no test has", entry.key);
  std::vector<int32_t> numbers(value.count);
  std::memcpy(numbers.data(), value.bytes.data(), value.bytes.size());
  header.AddInt32s(entry.key, numbers);
}

// Elements of a whole tensor as floats.
using Dequantize = std::function<std::vector<float>(const TensorView& tensor)>;

inline void WriteFloatCopy(const std::string& from, const std::string& to,
                           const Dequantize& dequantize) {
  const auto file = gguf::File::Open(from);
  CHECK(file.ok(), "{}", file.error().message());
  gguf::HeaderBuilder header;
  for (const auto& entry : file->metadata().entries()) CopyEntry(entry, header);
  for (const gguf::TensorInfo& info : file->header().tensors) {
    header.AddTensor(info.name, DType::kF32, info.shape);
  }
  auto writer = gguf::Writer::Create(to, header);
  CHECK(writer.ok(), "{}", writer.error().message());
  for (const gguf::TensorInfo& info : file->header().tensors) {
    const std::vector<float> values = dequantize(file->View(info));
    const auto bytes = std::as_bytes(std::span(values));
    const Status appended =
        writer->Append({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    CHECK(appended.ok(), "{}", appended.error().message());
  }
  CHECK(writer->Close().ok());
}

}  // namespace baton
