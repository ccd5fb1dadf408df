// Writes GGUF version 3 files front to back: first a HeaderBuilder collects metadata and declares
// tensors, then a Writer streams their bytes in the order of declaration. Used by `baton synth`,
// the tests and the golden models.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/gguf/metadata.h"
#include "model/gguf/reader.h"
#include "os/file.h"

namespace baton::gguf {

// A plain value; names and keys are the caller's business.
class HeaderBuilder {
 public:
  void AddUint32(std::string_view key, uint32_t value);
  void AddInt32(std::string_view key, int32_t value);
  void AddFloat32(std::string_view key, float value);
  void AddBool(std::string_view key, bool value);
  void AddString(std::string_view key, std::string_view value);
  void AddStrings(std::string_view key, std::span<const std::string> values);
  void AddFloat32s(std::string_view key, std::span<const float> values);
  void AddBools(std::string_view key, const std::vector<bool>& values);
  void AddUint8s(std::string_view key, std::span<const uint8_t> values);
  void AddInt32s(std::string_view key, std::span<const int32_t> values);
  // `shape` as in TensorView; trailing ones are left out of the file.
  void AddTensor(std::string name, DType type, Shape shape);

  // Declared tensors in order, with `file_offset` as they will lie in the file.
  std::vector<TensorInfo> Tensors() const;
  // The header, padded to where tensor data begins.
  Bytes Build() const;

 private:
  void AddKey(std::string_view key, ValueType type);
  void AddArray(std::string_view key, ValueType type, uint64_t count);
  Bytes BuildUnpadded() const;

  ByteWriter entries_;
  uint64_t entry_count_ = 0;
  std::vector<TensorInfo> tensors_;  // file_offset relative to the data
  uint64_t data_bytes_ = 0;
};

// One thread. Bytes of one tensor may come in any number of Appends.
class Writer {
 public:
  static Result<Writer> Create(const std::string& path, const HeaderBuilder& header);
  // The next bytes of the tensor that is being written; they must not reach past its end. Padding
  // is added when a tensor is complete.
  Status Append(std::span<const uint8_t> bytes);
  // Fails if a declared tensor is not complete.
  Status Close();

 private:
  Writer(os::FileWriter file, std::vector<TensorInfo> tensors)
      : file_(std::move(file)), tensors_(std::move(tensors)) {}

  os::FileWriter file_;
  std::vector<TensorInfo> tensors_;
  size_t current_ = 0;
};

}  // namespace baton::gguf
