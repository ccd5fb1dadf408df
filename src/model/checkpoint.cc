#include "model/checkpoint.h"

#include <algorithm>

#include "model/gguf/checkpoint.h"
#include "model/safetensors/checkpoint.h"
#include "os/file.h"

namespace baton {
namespace {

std::vector<TensorInfo> ByName(std::vector<TensorInfo> tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  return tensors;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

Checkpoint::Checkpoint(std::string path, gguf::Metadata metadata, std::vector<TensorInfo> tensors)
    : path_(std::move(path)),
      metadata_(std::move(metadata)),
      tensors_(ByName(std::move(tensors))) {}

Result<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& path) {
  if (os::IsDirectory(path)) return safetensors::OpenCheckpoint(path);
  if (path.ends_with(".safetensors") || path.ends_with(".json"))
    return safetensors::OpenCheckpoint(FolderOf(path));
  return gguf::OpenCheckpoint(path);
}

const TensorInfo* Checkpoint::Find(std::string_view name) const {
  const auto at =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const TensorInfo& info, std::string_view n) { return info.name < n; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

Status Checkpoint::ReadRows(const TensorInfo& tensor, int64_t first, int64_t count,
                            std::span<uint8_t> into) const {
  CHECK(first >= 0 && count >= 0 && first <= tensor.rows() - count, "rows {}+{} of {}", first,
        count, tensor.rows());
  CHECK(into.size() == static_cast<uint64_t>(count) * tensor.row_bytes());
  return Read(tensor, first, count, into);
}

void Checkpoint::DropMetadata() {
  metadata_ = {};
  DropHeaders();
}

}  // namespace baton
