#include "model/gguf/checkpoint.h"

#include <algorithm>

#include "model/fingerprint.h"
#include "model/gguf/reader.h"

namespace baton::gguf {
namespace {

class FileCheckpoint final : public Checkpoint {
 public:
  FileCheckpoint(std::string path, File file, std::vector<baton::TensorInfo> tensors)
      : Checkpoint(std::move(path), file.metadata(), std::move(tensors)), file_(std::move(file)) {
    for (const TensorInfo& info : file_.header().tensors) offsets_.push_back(info.file_offset);
  }

  void WillNeed(const baton::TensorInfo& tensor, int64_t first, int64_t count) const override {
    file_.mapping().WillNeed(OffsetOf(tensor, first),
                             static_cast<uint64_t>(count) * tensor.row_bytes());
  }

  Result<std::string> Fingerprint() const override {
    Fingerprinter fingerprint;
    fingerprint.Add(file_.header_bytes());
    std::vector<const TensorInfo*> in_file_order;
    for (const TensorInfo& info : file_.header().tensors) in_file_order.push_back(&info);
    std::sort(in_file_order.begin(), in_file_order.end(),
              [](const auto* a, const auto* b) { return a->file_offset < b->file_offset; });
    for (const TensorInfo* info : in_file_order)
      BATON_RETURN_IF_ERROR(
          fingerprint.AddSample(file_.mapping(), info->file_offset, info->size_bytes));
    return std::move(fingerprint).Finish();
  }

 private:
  uint64_t OffsetOf(const baton::TensorInfo& tensor, int64_t row) const {
    return offsets_[tensor.place] + static_cast<uint64_t>(row) * tensor.row_bytes();
  }

  Status Read(const baton::TensorInfo& tensor, int64_t first, int64_t,
              std::span<uint8_t> into) const override {
    return file_.mapping().ReadAt(OffsetOf(tensor, first), into);
  }

  void DropHeaders() override { file_.DropHeader(); }

  File file_;
  std::vector<uint64_t> offsets_;  // by place
};

}  // namespace

Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(File file, File::Open(path));
  std::vector<baton::TensorInfo> tensors;
  for (const TensorInfo& info : file.header().tensors)
    tensors.push_back({info.name, info.type, info.shape, info.size_bytes, tensors.size()});
  return std::unique_ptr<Checkpoint>(
      std::make_unique<FileCheckpoint>(path, std::move(file), std::move(tensors)));
}

}  // namespace baton::gguf
