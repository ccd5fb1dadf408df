// A GGUF file: its metadata and its tensor directory, parsed and checked. The file is hostile until
// parsed: every count, length and offset is checked before arithmetic on it, before allocation, and
// against the bytes that are really there; what is allocated stays below twice the file's size.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/free.h"
#include "base/result.h"
#include "model/gguf/metadata.h"
#include "os/file.h"
#include "tensor/tensor_view.h"

namespace baton::gguf {

inline constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
inline constexpr uint32_t kVersionMin = 2;
inline constexpr uint32_t kVersionMax = 3;
inline constexpr uint64_t kDefaultAlignment = 32;

// What one header may hold; far above any real file, far below what hurts.
inline constexpr uint64_t kEntriesMax = 4096;
inline constexpr uint64_t kTensorsMax = 65536;
inline constexpr uint64_t kKeyBytesMax = 65535;  // as the specification says
inline constexpr uint64_t kTensorNameBytesMax = 255;
inline constexpr uint64_t kAlignmentMax = 1 << 20;
inline constexpr uint64_t kHeaderBytesMax = 256 << 20;

struct TensorInfo {
  std::string name;
  DType type = DType::kF32;
  Shape shape{1, 1, 1, 1};
  uint64_t file_offset = 0;
  uint64_t size_bytes = 0;
};

// nullptr if `tensors`, sorted by name, has none of that name.
const TensorInfo* Find(const std::vector<TensorInfo>& tensors, std::string_view name);

// Everything before the tensor data.
struct Header {
  uint32_t version = 0;
  uint64_t alignment = kDefaultAlignment;
  uint64_t data_offset = 0;  // where tensor data begins; the header's end if there are no tensors
  Metadata metadata;
  std::vector<TensorInfo> tensors;  // sorted by name

  const TensorInfo* Find(std::string_view name) const { return gguf::Find(tensors, name); }
};

// Parses the header at the front of `bytes`, which may be only the first part of a file of
// `file_size_bytes`. Pure. kDataLoss means that `bytes` ended too early, kUnimplemented a version
// or tensor type that baton does not know, kInvalidArgument anything else. The result's metadata
// points into `bytes`.
Result<Header> ParseHeader(std::span<const uint8_t> bytes, uint64_t file_size_bytes);

// An opened file. Metadata is read through the file descriptor into memory of our own, so that a
// file that shrinks later cannot take the process with it. Move-only; read-only after Open, so any
// thread may use it.
class File {
 public:
  static Result<File> Open(const std::string& path);

  const Header& header() const { return header_; }
  const Metadata& metadata() const { return header_.metadata; }
  const os::MappedFile& mapping() const { return mapping_; }
  // The bytes before the tensor data.
  std::span<const uint8_t> header_bytes() const;
  // A view into the mapping. `info` must come from this file's header.
  TensorView View(const TensorInfo& info) const;
  // Frees the header; View() and mapping() stay usable.
  void DropHeader() {
    header_ = {};
    Free(header_bytes_);
  }

 private:
  File(os::MappedFile mapping, Bytes header_bytes, Header header)
      : mapping_(std::move(mapping)),
        header_bytes_(std::move(header_bytes)),
        header_(std::move(header)) {}

  os::MappedFile mapping_;
  Bytes header_bytes_;
  Header header_;
};

}  // namespace baton::gguf
