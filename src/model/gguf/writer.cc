#include "model/gguf/writer.h"

#include <algorithm>

namespace baton::gguf {
namespace {

uint64_t Pad(uint64_t size) {
  return (size + kDefaultAlignment - 1) / kDefaultAlignment * kDefaultAlignment;
}

void WriteString(ByteWriter& writer, std::string_view text) {
  writer.Write<uint64_t>(text.size());
  writer.WriteBytes(AsBytes(text));
}

uint32_t DimensionsOf(const Shape& shape) {
  uint32_t count = 4;
  while (count > 1 && shape[count - 1] == 1) --count;
  return count;
}

uint64_t SizeOfTensor(DType type, const Shape& shape) {
  return BytesOf(type, static_cast<size_t>(shape[0])) *
         static_cast<uint64_t>(shape[1] * shape[2] * shape[3]);
}

}  // namespace

void HeaderBuilder::AddKey(std::string_view key, ValueType type) {
  WriteString(entries_, key);
  entries_.Write(static_cast<uint32_t>(type));
  ++entry_count_;
}

void HeaderBuilder::AddArray(std::string_view key, ValueType type, uint64_t count) {
  AddKey(key, ValueType::kArray);
  entries_.Write(static_cast<uint32_t>(type));
  entries_.Write(count);
}

void HeaderBuilder::AddUint32(std::string_view key, uint32_t value) {
  AddKey(key, ValueType::kUint32);
  entries_.Write(value);
}

void HeaderBuilder::AddInt32(std::string_view key, int32_t value) {
  AddKey(key, ValueType::kInt32);
  entries_.Write(value);
}

void HeaderBuilder::AddFloat32(std::string_view key, float value) {
  AddKey(key, ValueType::kFloat32);
  entries_.Write(value);
}

void HeaderBuilder::AddBool(std::string_view key, bool value) {
  AddKey(key, ValueType::kBool);
  entries_.Write<uint8_t>(value ? 1 : 0);
}

void HeaderBuilder::AddString(std::string_view key, std::string_view value) {
  AddKey(key, ValueType::kString);
  WriteString(entries_, value);
}

void HeaderBuilder::AddStrings(std::string_view key, std::span<const std::string> values) {
  AddArray(key, ValueType::kString, values.size());
  for (const std::string& value : values) WriteString(entries_, value);
}

void HeaderBuilder::AddFloat32s(std::string_view key, std::span<const float> values) {
  AddArray(key, ValueType::kFloat32, values.size());
  for (const float value : values) entries_.Write(value);
}

void HeaderBuilder::AddBools(std::string_view key, const std::vector<bool>& values) {
  AddArray(key, ValueType::kBool, values.size());
  for (const bool value : values) entries_.Write<uint8_t>(value ? 1 : 0);
}

void HeaderBuilder::AddUint8s(std::string_view key, std::span<const uint8_t> values) {
  AddArray(key, ValueType::kUint8, values.size());
  entries_.WriteBytes(values);
}

void HeaderBuilder::AddInt32s(std::string_view key, std::span<const int32_t> values) {
  AddArray(key, ValueType::kInt32, values.size());
  for (const int32_t value : values) entries_.Write(value);
}

void HeaderBuilder::AddTensor(std::string name, DType type, Shape shape) {
  const uint64_t size = SizeOfTensor(type, shape);
  tensors_.push_back({std::move(name), type, shape, data_bytes_, size});
  data_bytes_ += Pad(size);
}

std::vector<TensorInfo> HeaderBuilder::Tensors() const {
  const uint64_t data_offset = Pad(BuildUnpadded().size());
  std::vector<TensorInfo> tensors = tensors_;
  for (TensorInfo& info : tensors) info.file_offset += data_offset;
  return tensors;
}

Bytes HeaderBuilder::BuildUnpadded() const {
  ByteWriter writer;
  writer.Write(kMagic);
  writer.Write(kVersionMax);
  writer.Write<uint64_t>(tensors_.size());
  writer.Write(entry_count_);
  writer.WriteBytes(entries_.bytes());
  for (const TensorInfo& info : tensors_) {
    WriteString(writer, info.name);
    const uint32_t n_dims = DimensionsOf(info.shape);
    writer.Write(n_dims);
    for (uint32_t i = 0; i < n_dims; ++i) writer.Write(info.shape[i]);
    writer.Write(static_cast<uint32_t>(info.type));
    writer.Write(info.file_offset);
  }
  return std::move(writer).bytes();
}

Bytes HeaderBuilder::Build() const {
  Bytes bytes = BuildUnpadded();
  bytes.resize(Pad(bytes.size()));
  return bytes;
}

Result<Writer> Writer::Create(const std::string& path, const HeaderBuilder& header) {
  BATON_ASSIGN_OR_RETURN(os::FileWriter file, os::FileWriter::Create(path));
  BATON_RETURN_IF_ERROR(file.Append(header.Build()));
  return Writer(std::move(file), header.Tensors());
}

Status Writer::Append(std::span<const uint8_t> bytes) {
  CHECK(current_ < tensors_.size(), "no tensor left to write");
  const TensorInfo& info = tensors_[current_];
  const uint64_t end = info.file_offset + info.size_bytes;
  CHECK(bytes.size() <= end - file_.position(), "past the end of tensor '{}'", info.name);
  BATON_RETURN_IF_ERROR(file_.Append(bytes));
  if (file_.position() < end) return OkStatus();
  ++current_;
  const Bytes padding(Pad(end) - end);
  return file_.Append(padding);
}

Status Writer::Close() {
  if (current_ != tensors_.size())
    return MakeError(Code::kFailedPrecondition, "tensor '{}' is not complete",
                     tensors_[current_].name);
  return file_.Close();
}

}  // namespace baton::gguf
