#include "model/gguf/reader.h"

#include <algorithm>
#include <limits>

namespace baton::gguf {
namespace {

// The least that an entry or a tensor takes in a file; bounds the counts before any allocation.
constexpr uint64_t kEntryBytesMin = 8 + 1 + 4 + 1;
constexpr uint64_t kTensorBytesMin = 8 + 1 + 4 + 8 + 4 + 8;
constexpr uint32_t kDimensionsMax = 4;

// Names of types that files carry and baton does not compute with, for the error message.
std::string NameOfForeignType(uint32_t number) {
  struct Row {
    uint32_t number;
    const char* name;
  };
  constexpr Row kRows[] = {{9, "Q8_1"},     {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
                           {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"},   {22, "IQ2_S"},
                           {24, "I8"},      {25, "I16"},   {27, "I64"},     {28, "F64"},
                           {29, "IQ1_M"},   {34, "TQ1_0"}, {35, "TQ2_0"},   {40, "NVFP4"}};
  for (const Row& row : kRows) {
    if (row.number == number) return fmt::format("{} ({})", row.name, number);
  }
  return fmt::format("number {}", number);
}

// Reads one header, front to back. Every Take is checked against the file's real size first, so
// that a lie is an error at once and only an honest long header asks for more bytes.
class HeaderParser {
 public:
  HeaderParser(std::span<const uint8_t> bytes, uint64_t file_size_bytes)
      : bytes_(bytes), file_size_bytes_(file_size_bytes) {}

  Result<Header> Parse() {
    Header header;
    BATON_RETURN_IF_ERROR(CheckMagic());
    BATON_ASSIGN_OR_RETURN(header.version, CheckVersion());
    BATON_ASSIGN_OR_RETURN(const uint64_t n_tensors,
                           Count("tensors", kTensorsMax, kTensorBytesMin));
    BATON_ASSIGN_OR_RETURN(const uint64_t n_entries, Count("keys", kEntriesMax, kEntryBytesMin));
    BATON_ASSIGN_OR_RETURN(header.metadata, ParseMetadata(n_entries));
    BATON_ASSIGN_OR_RETURN(header.alignment, Alignment(header.metadata));
    BATON_ASSIGN_OR_RETURN(header.tensors, ParseTensors(n_tensors, header.alignment));
    const uint64_t aligned =
        (position_ + header.alignment - 1) / header.alignment * header.alignment;
    header.data_offset = n_tensors == 0 ? position_ : aligned;
    BATON_RETURN_IF_ERROR(PlaceTensors(header));
    return header;
  }

 private:
  Result<std::span<const uint8_t>> Take(uint64_t count, std::string_view what) {
    if (count > file_size_bytes_ - position_)
      return MakeError(Code::kInvalidArgument,
                       "{} at byte {} needs {} bytes, but the file has only {} in all", what,
                       position_, count, file_size_bytes_);
    if (count > bytes_.size() - position_)
      return MakeError(Code::kDataLoss, "{} at byte {} is cut off", what, position_);
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  template <typename T>
  Result<T> Read(std::string_view what) {
    BATON_ASSIGN_OR_RETURN(const auto bytes, Take(sizeof(T), what));
    return ByteReader(bytes).template Read<T>();
  }

  Result<std::string_view> ReadString(uint64_t max_bytes, std::string_view what) {
    BATON_ASSIGN_OR_RETURN(const auto length, Read<uint64_t>(what));
    if (length > max_bytes)
      return MakeError(Code::kInvalidArgument, "{} of {} bytes is longer than {}", what, length,
                       max_bytes);
    BATON_ASSIGN_OR_RETURN(const auto bytes, Take(length, what));
    return AsText(bytes);
  }

  Status CheckMagic() {
    BATON_ASSIGN_OR_RETURN(const auto magic, Read<uint32_t>("the magic number"));
    if (magic != kMagic)
      return MakeError(Code::kInvalidArgument, "not a GGUF file: it begins with {:#010x}", magic);
    return OkStatus();
  }

  Result<uint32_t> CheckVersion() {
    BATON_ASSIGN_OR_RETURN(const auto version, Read<uint32_t>("the version"));
    if (version < kVersionMin || version > kVersionMax)
      return MakeError(Code::kUnimplemented, "GGUF version {} is not supported, only {} to {}",
                       version, kVersionMin, kVersionMax);
    return version;
  }

  Result<uint64_t> Count(std::string_view what, uint64_t max, uint64_t bytes_each) {
    BATON_ASSIGN_OR_RETURN(const auto count, Read<uint64_t>("the number of " + std::string(what)));
    if (count > max)
      return MakeError(Code::kInvalidArgument, "{} {} are more than {}", count, what, max);
    if (count * bytes_each > file_size_bytes_ - position_)
      return MakeError(Code::kInvalidArgument, "{} {} do not fit into a file of {} bytes", count,
                       what, file_size_bytes_);
    return count;
  }

  Result<Metadata> ParseMetadata(uint64_t count) {
    std::vector<Metadata::Entry> entries;
    entries.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      Metadata::Entry entry;
      BATON_ASSIGN_OR_RETURN(entry.key, ReadString(kKeyBytesMax, "a key"));
      auto value = ParseValue();
      if (!value.ok()) return value.error().Within(fmt::format("key '{}'", entry.key));
      entry.value = *value;
      entries.push_back(entry);
    }
    return Metadata::FromEntries(std::move(entries));
  }

  Result<Value> ParseValue() {
    Value value;
    BATON_ASSIGN_OR_RETURN(value.type, ReadType());
    if (value.type == ValueType::kArray) return ParseArray();
    if (value.type == ValueType::kString) {
      BATON_ASSIGN_OR_RETURN(const auto text, ReadString(kHeaderBytesMax, "a string"));
      value.bytes = AsBytes(text);
      return value;
    }
    BATON_ASSIGN_OR_RETURN(value.bytes, Take(SizeOf(value.type), "a value"));
    return value;
  }

  Result<ValueType> ReadType() {
    BATON_ASSIGN_OR_RETURN(const auto number, Read<uint32_t>("a value type"));
    if (number > static_cast<uint32_t>(ValueType::kFloat64))
      return MakeError(Code::kInvalidArgument, "value type {} does not exist", number);
    return static_cast<ValueType>(number);
  }

  Result<Value> ParseArray() {
    Value value;
    value.type = ValueType::kArray;
    BATON_ASSIGN_OR_RETURN(value.element_type, ReadType());
    BATON_ASSIGN_OR_RETURN(value.count, Read<uint64_t>("an array length"));
    if (value.element_type == ValueType::kArray)
      return MakeError(Code::kInvalidArgument, "an array of arrays is not supported");
    const bool strings = value.element_type == ValueType::kString;
    const uint64_t least = strings ? sizeof(uint64_t) : SizeOf(value.element_type);
    if (value.count > (file_size_bytes_ - position_) / least)
      return MakeError(Code::kInvalidArgument,
                       "an array of {} elements does not fit into a file of {} bytes", value.count,
                       file_size_bytes_);
    if (strings) return ParseStrings(value);
    BATON_ASSIGN_OR_RETURN(value.bytes, Take(value.count * least, "an array"));
    return value;
  }

  Result<Value> ParseStrings(Value value) {
    const uint64_t begin = position_;
    for (uint64_t i = 0; i < value.count; ++i)
      BATON_RETURN_IF_ERROR(ReadString(kHeaderBytesMax, "a string in an array"));
    value.bytes = bytes_.subspan(begin, position_ - begin);
    return value;
  }

  static Result<uint64_t> Alignment(const Metadata& metadata) {
    BATON_ASSIGN_OR_RETURN(
        const int64_t alignment,
        metadata.IntegerOr("general.alignment", 1, kAlignmentMax, kDefaultAlignment));
    if (!std::has_single_bit(static_cast<uint64_t>(alignment)))
      return MakeError(Code::kInvalidArgument, "key 'general.alignment' is {}, not a power of two",
                       alignment);
    return static_cast<uint64_t>(alignment);
  }

  // In the file's order each tensor's data begins where that of the one before it ends, as the
  // format wants it: so a wrong type or extent shows, too.
  Result<std::vector<TensorInfo>> ParseTensors(uint64_t count, uint64_t alignment) {
    std::vector<TensorInfo> tensors;
    tensors.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      BATON_ASSIGN_OR_RETURN(const auto name, ReadString(kTensorNameBytesMax, "a tensor name"));
      auto info = ParseTensor(name);
      if (!info.ok()) return info.error().Within(fmt::format("tensor '{}'", name));
      if (info->file_offset != data_bytes_)
        return WrongOffset(*info, tensors.empty() ? nullptr : &tensors.back());
      data_bytes_ += (info->size_bytes + alignment - 1) / alignment * alignment;
      last_tensor_ = name;
      tensors.push_back(*std::move(info));
    }
    std::sort(tensors.begin(), tensors.end(),
              [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
    for (size_t i = 1; i < tensors.size(); ++i) {
      if (tensors[i].name == tensors[i - 1].name)
        return MakeError(Code::kInvalidArgument, "tensor '{}' appears twice", tensors[i].name);
    }
    return tensors;
  }

  Error WrongOffset(const TensorInfo& info, const TensorInfo* before) const {
    const std::string_view how =
        info.file_offset < data_bytes_ ? "overlaps" : "leaves a gap behind";
    if (before == nullptr)
      return MakeError(Code::kInvalidArgument, "tensor '{}', the first, has offset {}", info.name,
                       info.file_offset);
    return MakeError(Code::kInvalidArgument,
                     "tensor '{}' has offset {}, not {}: it {} tensor '{}' of {} bytes", info.name,
                     info.file_offset, data_bytes_, how, before->name, before->size_bytes);
  }

  // Leaves in `file_offset` what the file says: an offset from the start of the data.
  Result<TensorInfo> ParseTensor(std::string_view name) {
    TensorInfo info{.name = std::string(name)};
    BATON_ASSIGN_OR_RETURN(info.shape, ReadShape());
    BATON_ASSIGN_OR_RETURN(const auto type, Read<uint32_t>("a tensor type"));
    const auto known = FindDType(type);
    if (!known)
      return MakeError(Code::kUnimplemented, "its type {} is not supported",
                       NameOfForeignType(type));
    info.type = known->type;
    BATON_ASSIGN_OR_RETURN(info.size_bytes, SizeOfTensor(info.shape, *known));
    BATON_ASSIGN_OR_RETURN(info.file_offset, Read<uint64_t>("a tensor offset"));
    return info;
  }

  Result<Shape> ReadShape() {
    BATON_ASSIGN_OR_RETURN(const auto n_dims, Read<uint32_t>("the number of dimensions"));
    if (n_dims == 0 || n_dims > kDimensionsMax)
      return MakeError(Code::kInvalidArgument, "{} dimensions, not 1 to {}", n_dims,
                       kDimensionsMax);
    Shape shape{1, 1, 1, 1};
    for (uint32_t i = 0; i < n_dims; ++i) {
      BATON_ASSIGN_OR_RETURN(const auto extent, Read<uint64_t>("a dimension"));
      if (extent == 0 || extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        return MakeError(Code::kInvalidArgument, "dimension {} is {}", i, extent);
      shape[i] = static_cast<int64_t>(extent);
    }
    return shape;
  }

  Result<uint64_t> SizeOfTensor(const Shape& shape, const DTypeInfo& type) const {
    int64_t elements = 1;
    for (const int64_t extent : shape) {
      if (__builtin_mul_overflow(elements, extent, &elements))
        return MakeError(Code::kInvalidArgument, "{}x{}x{}x{} elements overflow", shape[0],
                         shape[1], shape[2], shape[3]);
    }
    if (shape[0] % static_cast<int64_t>(type.block_elements) != 0)
      return MakeError(Code::kInvalidArgument, "rows of {} elements are not whole {} blocks of {}",
                       shape[0], type.name, type.block_elements);
    const uint64_t blocks = static_cast<uint64_t>(elements) / type.block_elements;
    if (blocks > file_size_bytes_ / type.block_bytes)
      return MakeError(Code::kInvalidArgument,
                       "{} blocks of {} bytes are more than the file's {} bytes", blocks,
                       type.block_bytes, file_size_bytes_);
    return blocks * type.block_bytes;
  }

  // Turns offsets into file offsets and checks that all data is there, and nothing else.
  Status PlaceTensors(Header& header) const {
    for (TensorInfo& info : header.tensors) BATON_RETURN_IF_ERROR(PlaceTensor(header, info));
    const uint64_t end = header.data_offset + data_bytes_;
    if (header.tensors.empty() || file_size_bytes_ <= end) return OkStatus();
    return MakeError(Code::kInvalidArgument,
                     "tensor '{}', the last, ends at byte {}, but the file has {} bytes",
                     last_tensor_, end, file_size_bytes_);
  }

  Status PlaceTensor(const Header& header, TensorInfo& info) const {
    const uint64_t offset = info.file_offset;
    const uint64_t data_bytes =
        file_size_bytes_ > header.data_offset ? file_size_bytes_ - header.data_offset : 0;
    if (offset > data_bytes || info.size_bytes > data_bytes - offset)
      return MakeError(Code::kInvalidArgument,
                       "tensor '{}' needs {} bytes at offset {}, but the file has only {} bytes of "
                       "tensor data (is the download complete?)",
                       info.name, info.size_bytes, offset, data_bytes);
    info.file_offset = header.data_offset + offset;
    return OkStatus();
  }

  const std::span<const uint8_t> bytes_;
  const uint64_t file_size_bytes_;
  uint64_t position_ = 0;
  uint64_t data_bytes_ = 0;  // of the tensors so far, with padding
  std::string_view last_tensor_;
};

constexpr uint64_t kFirstReadBytes = 1 << 20;

Result<Bytes> ReadFront(const os::MappedFile& file, uint64_t count) {
  Bytes bytes(count);
  BATON_RETURN_IF_ERROR(file.ReadAt(0, bytes));
  return bytes;
}

}  // namespace

const TensorInfo* Find(const std::vector<TensorInfo>& tensors, std::string_view name) {
  const auto at =
      std::lower_bound(tensors.begin(), tensors.end(), name,
                       [](const TensorInfo& info, std::string_view n) { return info.name < n; });
  return at != tensors.end() && at->name == name ? &*at : nullptr;
}

Result<Header> ParseHeader(std::span<const uint8_t> bytes, uint64_t file_size_bytes) {
  CHECK(bytes.size() <= file_size_bytes);
  return HeaderParser(bytes, file_size_bytes).Parse();
}

Result<File> File::Open(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(os::MappedFile mapping, os::MappedFile::Open(path));
  const uint64_t file_size = mapping.bytes().size();
  for (uint64_t front = std::min(file_size, kFirstReadBytes);;
       front = std::min(file_size, front * 4)) {
    if (front > kHeaderBytesMax) front = std::min(file_size, kHeaderBytesMax);
    BATON_ASSIGN_OR_RETURN(Bytes bytes, ReadFront(mapping, front));
    Result<Header> header = ParseHeader(bytes, file_size);
    if (header.ok()) return File(std::move(mapping), std::move(bytes), *std::move(header));
    const bool longer = header.error().code() == Code::kDataLoss && front < file_size;
    if (!longer || front >= kHeaderBytesMax) return header.error().Within(path);
  }
}

std::span<const uint8_t> File::header_bytes() const {
  return std::span(header_bytes_)
      .first(std::min<uint64_t>(header_.data_offset, header_bytes_.size()));
}

TensorView File::View(const TensorInfo& info) const {
  return {.type = info.type,
          .shape = info.shape,
          .data = mapping_.bytes().data() + info.file_offset,
          .file_offset = info.file_offset,
          .size_bytes = info.size_bytes};
}

}  // namespace baton::gguf
