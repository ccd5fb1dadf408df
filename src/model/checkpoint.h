// Checkpoint: the weights of a model and what is said about them, however they lie on disk. Each
// arrangement of files has a reader of its own (model/gguf/, model/safetensors/); families and the
// loader of weights see this alone, in the names that GGUF uses.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/gguf/metadata.h"
#include "model/tokenizer/tokenizer_json.h"
#include "tensor/tensor_view.h"

namespace baton {

// A tensor as ReadRows() gives it, which may differ from how the file stores it.
struct TensorInfo {
  std::string name;
  DType type = DType::kF32;
  Shape shape{1, 1, 1, 1};
  uint64_t size_bytes = 0;  // == row_bytes() * rows()
  size_t place = 0;         // where the reader finds it

  int64_t cols() const { return shape[0]; }
  int64_t rows() const { return shape[1] * shape[2] * shape[3]; }
  uint64_t row_bytes() const { return BytesOf(type, static_cast<size_t>(shape[0])); }
};

// Read-only after Open(), any thread, but for DropMetadata().
class Checkpoint {
 public:
  // What is at `path`: a GGUF file, or any part of one in several files; a folder with config.json
  // and safetensors, or a file in it. Names, counts, offsets and sizes are checked; what they mean
  // to a family is not. Errors name the file.
  static Result<std::unique_ptr<Checkpoint>> Open(const std::string& path);
  virtual ~Checkpoint() = default;

  const std::string& path() const { return path_; }
  // Under GGUF's keys.
  const gguf::Metadata& metadata() const { return metadata_; }
  // Sorted by name.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // nullptr if there is none of that name.
  const TensorInfo* Find(std::string_view name) const;

  // Copies rows [first, first + count) of one of tensors() through file descriptors: a file that
  // shrank is an error, where touching a mapping would end the process. `into` has exactly their
  // size.
  Status ReadRows(const TensorInfo& tensor, int64_t first, int64_t count,
                  std::span<uint8_t> into) const;
  // A hint, without effect on correctness: those rows will be read soon.
  virtual void WillNeed(const TensorInfo& tensor, int64_t first, int64_t count) const = 0;
  // Identity over nodes: model/fingerprint.h. Not after DropMetadata().
  virtual Result<std::string> Fingerprint() const = 0;

  // Where a tokenizer is not in the metadata: the files that hold it. Views into this object, until
  // DropMetadata().
  virtual std::optional<TokenizerFiles> tokenizer_files() const { return std::nullopt; }

  // Frees what only opening a model needs: metadata() is empty then.
  void DropMetadata();

 protected:
  Checkpoint(std::string path, gguf::Metadata metadata, std::vector<TensorInfo> tensors);

 private:
  virtual Status Read(const TensorInfo& tensor, int64_t first, int64_t count,
                      std::span<uint8_t> into) const = 0;
  // Frees the bytes that metadata() points into.
  virtual void DropHeaders() = 0;

  const std::string path_;
  gguf::Metadata metadata_;
  const std::vector<TensorInfo> tensors_;
};

}  // namespace baton
