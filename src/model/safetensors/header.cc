#include "model/safetensors/header.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/log.h"
#include "model/safetensors/json_scanner.h"

namespace baton::safetensors {
namespace {

constexpr uint64_t kLengthBytes = 8;
// {"dtype":"U8","shape":[],"data_offsets":[0,0]} with a name and a comma.
constexpr size_t kTensorBytesMin = 49;

struct TypeRow {
  StoredType type;
  std::string_view name;
  size_t bytes;
};
constexpr TypeRow kTypes[] = {
    {StoredType::kBool, "BOOL", 1},      {StoredType::kU8, "U8", 1},
    {StoredType::kI8, "I8", 1},          {StoredType::kF8E4M3, "F8_E4M3", 1},
    {StoredType::kF8E5M2, "F8_E5M2", 1}, {StoredType::kF8E8M0, "F8_E8M0", 1},
    {StoredType::kU16, "U16", 2},        {StoredType::kI16, "I16", 2},
    {StoredType::kF16, "F16", 2},        {StoredType::kBF16, "BF16", 2},
    {StoredType::kU32, "U32", 4},        {StoredType::kI32, "I32", 4},
    {StoredType::kF32, "F32", 4},        {StoredType::kU64, "U64", 8},
    {StoredType::kI64, "I64", 8},        {StoredType::kF64, "F64", 8},
};

const TypeRow& RowOf(StoredType type) {
  return kTypes[static_cast<size_t>(type)];
}

Result<StoredType> TypeNamed(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return MakeError(Code::kUnimplemented, "its type '{}' is not supported",
                   log::Escape(name.substr(0, 32)));
}

class HeaderParser {
 public:
  HeaderParser(std::string_view json, uint64_t file_size_bytes)
      : json_(json), data_offset_(kLengthBytes + json.size()), scanner_(json) {
    data_bytes_ = file_size_bytes - data_offset_;
  }

  Result<std::vector<StoredTensor>> Parse() {
    std::vector<StoredTensor> tensors;
    tensors.reserve(TensorsMentioned());
    BATON_RETURN_IF_ERROR(scanner_.Object([&](std::string_view name) -> Status {
      if (name == "__metadata__")
        return scanner_.Object([&](std::string_view) { return scanner_.SkipString(); });
      BATON_RETURN_IF_ERROR(CheckName(name));
      auto tensor = ParseTensor(name);
      if (!tensor.ok()) return tensor.error().Within(fmt::format("tensor '{}'", log::Escape(name)));
      if (tensors.size() == kTensorsMax)
        return MakeError(Code::kInvalidArgument, "there are more than {} tensors", kTensorsMax);
      tensors.push_back(*tensor);
      return OkStatus();
    }));
    BATON_RETURN_IF_ERROR(scanner_.End());
    BATON_RETURN_IF_ERROR(CheckPlaces(tensors));
    BATON_RETURN_IF_ERROR(CheckNames(tensors));
    return tensors;
  }

 private:
  // So that no vector grows by doubling.
  size_t TensorsMentioned() const {
    constexpr std::string_view kWord = "\"data_offsets\"";
    size_t count = 0;
    for (size_t at = json_.find(kWord); at != std::string_view::npos;
         at = json_.find(kWord, at + kWord.size()))
      ++count;
    return std::min<size_t>({count, kTensorsMax, json_.size() / kTensorBytesMin});
  }

  static Status CheckName(std::string_view name) {
    if (name.empty() || name.size() > kNameBytesMax)
      return MakeError(Code::kInvalidArgument, "a tensor name of {} bytes, not 1 to {}",
                       name.size(), kNameBytesMax);
    return OkStatus();
  }

  Result<StoredTensor> ParseTensor(std::string_view name) {
    StoredTensor tensor{.name = name};
    int seen = 0;
    BATON_RETURN_IF_ERROR(scanner_.Object([&](std::string_view key) -> Status {
      const int field = key == "dtype" ? 1 : key == "shape" ? 2 : key == "data_offsets" ? 4 : 0;
      if (field == 0 || (seen & field) != 0)
        return MakeError(Code::kInvalidArgument, "field '{}' is {}", log::Escape(key.substr(0, 32)),
                         field == 0 ? "unknown" : "there twice");
      seen |= field;
      return field == 1 ? ReadType(tensor) : field == 2 ? ReadShape(tensor) : ReadPlace(tensor);
    }));
    if (seen != 7)
      return MakeError(Code::kInvalidArgument, "it lacks dtype, shape or data_offsets");
    BATON_RETURN_IF_ERROR(CheckSize(tensor));
    return tensor;
  }

  Status ReadType(StoredTensor& tensor) {
    BATON_ASSIGN_OR_RETURN(const std::string_view name, scanner_.String());
    BATON_ASSIGN_OR_RETURN(tensor.type, TypeNamed(name));
    return OkStatus();
  }

  Status ReadShape(StoredTensor& tensor) {
    elements_ = 1;
    return scanner_.Array([&]() -> Status {
      BATON_ASSIGN_OR_RETURN(const uint64_t extent, scanner_.Integer());
      if (tensor.dimensions == kDimensionsMax)
        return MakeError(Code::kInvalidArgument, "it has more than {} dimensions", kDimensionsMax);
      if (extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
          __builtin_mul_overflow(elements_, extent, &elements_))
        return MakeError(Code::kInvalidArgument, "dimension {} of {} makes too many elements",
                         tensor.dimensions, extent);
      if (tensor.dimensions < tensor.shape.size())
        tensor.shape[tensor.dimensions] = static_cast<int64_t>(extent);
      ++tensor.dimensions;
      return OkStatus();
    });
  }

  Status ReadPlace(StoredTensor& tensor) {
    std::array<uint64_t, 2> ends{};
    size_t count = 0;
    BATON_RETURN_IF_ERROR(scanner_.Array([&]() -> Status {
      BATON_ASSIGN_OR_RETURN(const uint64_t end, scanner_.Integer());
      if (count < ends.size()) ends[count] = end;
      ++count;
      return OkStatus();
    }));
    if (count != ends.size() || ends[0] > ends[1])
      return MakeError(Code::kInvalidArgument, "data_offsets are {} numbers, {} and {}", count,
                       ends[0], ends[1]);
    if (ends[1] > data_bytes_)
      return MakeError(Code::kInvalidArgument,
                       "its data ends at {}, but the file has only {} bytes of data (is the "
                       "download complete?)",
                       ends[1], data_bytes_);
    tensor.offset = data_offset_ + ends[0];
    tensor.size_bytes = ends[1] - ends[0];
    return OkStatus();
  }

  Status CheckSize(const StoredTensor& tensor) const {
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(elements_, SizeOf(tensor.type), &bytes) ||
        bytes != tensor.size_bytes)
      return MakeError(Code::kInvalidArgument, "{} elements of {} do not make its {} bytes",
                       elements_, NameOf(tensor.type), tensor.size_bytes);
    return OkStatus();
  }

  // Sorts by place: one tensor begins where the one before it ends, and the last ends the file.
  Status CheckPlaces(std::vector<StoredTensor>& tensors) const {
    std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
      return std::tie(a.offset, a.size_bytes) < std::tie(b.offset, b.size_bytes);
    });
    uint64_t end = data_offset_;
    for (const StoredTensor& tensor : tensors) {
      if (tensor.offset != end)
        return MakeError(Code::kInvalidArgument, "tensor '{}' begins at {}, not at {}: {}",
                         tensor.name, tensor.offset - data_offset_, end - data_offset_,
                         tensor.offset < end ? "it overlaps another" : "there is a gap");
      end += tensor.size_bytes;
    }
    if (end != data_offset_ + data_bytes_)
      return MakeError(Code::kInvalidArgument, "the tensors end at {}, but there are {} bytes",
                       end - data_offset_, data_bytes_);
    return OkStatus();
  }

  static Status CheckNames(const std::vector<StoredTensor>& tensors) {
    std::vector<std::string_view> names;
    names.reserve(tensors.size());
    for (const StoredTensor& tensor : tensors) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      return MakeError(Code::kInvalidArgument, "tensor '{}' appears twice", log::Escape(*twice));
    return OkStatus();
  }

  const std::string_view json_;
  const uint64_t data_offset_;
  uint64_t data_bytes_ = 0;
  JsonScanner scanner_;
  uint64_t elements_ = 1;  // of the tensor that is being read; where it has no shape yet, 1
};

}  // namespace

std::string_view NameOf(StoredType type) {
  return RowOf(type).name;
}

size_t SizeOf(StoredType type) {
  return RowOf(type).bytes;
}

std::string Describe(const StoredTensor& tensor) {
  const size_t known = std::min<size_t>(tensor.dimensions, tensor.shape.size());
  return fmt::format("{}{} {}", fmt::join(std::span(tensor.shape).first(known), "x"),
                     tensor.dimensions > known ? "x..." : "", NameOf(tensor.type));
}

Result<std::vector<StoredTensor>> ParseHeader(std::string_view json, uint64_t file_size_bytes) {
  CHECK(file_size_bytes >= kLengthBytes && json.size() <= file_size_bytes - kLengthBytes);
  return HeaderParser(json, file_size_bytes).Parse();
}

Result<File> File::Open(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(os::MappedFile mapping, os::MappedFile::Open(path));
  const uint64_t file_size = mapping.bytes().size();
  if (file_size < kLengthBytes)
    return MakeError(Code::kInvalidArgument, "{}: {} bytes are no safetensors file", path,
                     file_size);
  uint64_t length = 0;
  std::array<uint8_t, kLengthBytes> length_bytes;
  BATON_RETURN_IF_ERROR(mapping.ReadAt(0, length_bytes));
  std::memcpy(&length, length_bytes.data(), sizeof(length));
  if (length > std::min(kHeaderBytesMax, file_size - kLengthBytes))
    return MakeError(Code::kInvalidArgument,
                     "{}: a header of {} bytes is more than {} or than the file of {} bytes (is "
                     "the download complete?)",
                     path, length, kHeaderBytesMax, file_size);
  Bytes header(length);
  BATON_RETURN_IF_ERROR(mapping.ReadAt(kLengthBytes, header));
  auto tensors = ParseHeader(AsText(header), file_size);
  if (!tensors.ok()) return tensors.error().Within(path);
  return File(std::move(mapping), std::move(header), *std::move(tensors));
}

}  // namespace baton::safetensors
