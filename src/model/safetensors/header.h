// The header of a safetensors file: eight bytes of its length, then JSON that says of each tensor
// its type, its shape and where its bytes lie behind the header. Source: the format's description
// in the safetensors repository. The file is hostile until parsed: lengths, offsets and shapes are
// checked before arithmetic on them, against each other and against the bytes that are really
// there.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/free.h"
#include "base/result.h"
#include "os/file.h"

namespace baton::safetensors {

// As the format's own library limits it.
inline constexpr uint64_t kHeaderBytesMax = 100'000'000;
inline constexpr uint64_t kTensorsMax = 1 << 20;
inline constexpr size_t kNameBytesMax = 255;
inline constexpr size_t kDimensionsMax = 8;

enum class StoredType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64,
};
// "BF16", "F8_E4M3", ...: as headers spell it.
std::string_view NameOf(StoredType type);
size_t SizeOf(StoredType type);

// A tensor as the header describes it.
struct StoredTensor {
  std::string_view name;  // in the header's bytes
  StoredType type = StoredType::kF32;
  uint8_t dimensions = 0;
  // The first four, slowest first; absent ones are 1.
  std::array<int64_t, 4> shape{1, 1, 1, 1};
  uint64_t offset = 0;  // in the file
  uint64_t size_bytes = 0;
};

// "64x32 BF16".
std::string Describe(const StoredTensor& tensor);

// Parses the JSON of a header; the tensors lie in file order and fill the data behind it without a
// gap. Pure. The names point into `json`.
Result<std::vector<StoredTensor>> ParseHeader(std::string_view json, uint64_t file_size_bytes);

// An opened file. Move-only; read-only after Open, any thread.
class File {
 public:
  static Result<File> Open(const std::string& path);

  const std::string& path() const { return mapping_.path(); }
  const os::MappedFile& mapping() const { return mapping_; }
  std::span<const uint8_t> header_bytes() const { return header_bytes_; }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  // Frees header and tensors; mapping() stays usable.
  void DropHeader() {
    Free(header_bytes_);
    Free(tensors_);
  }

 private:
  File(os::MappedFile mapping, Bytes header_bytes, std::vector<StoredTensor> tensors)
      : mapping_(std::move(mapping)),
        header_bytes_(std::move(header_bytes)),
        tensors_(std::move(tensors)) {}

  os::MappedFile mapping_;
  Bytes header_bytes_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace baton::safetensors
