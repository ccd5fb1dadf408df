#include "kv/page_pool.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace baton::kv {

Page::Page(const Page& other) : pool_(other.pool_), index_(other.index_) {
  if (pool_ != nullptr) pool_->AddReference(index_);
}

Page::~Page() {
  if (pool_ != nullptr) pool_->Release(index_);
}

uint8_t* Page::Layer(int layer) const {
  return pool_->storage_->host() + index_ * pool_->page_bytes() + pool_->LayerOffset(layer);
}

Result<std::unique_ptr<PagePool>> PagePool::Create(device::Device& device, LayerRange layers,
                                                   KvLayout layout, size_t bytes_max,
                                                   Windows windows) {
  const KvShape shape = layout.shape;
  CHECK(layers.size() > 0 && shape.kv_heads > 0 && shape.head_dim > 0, "an empty KV shape");
  CHECK(windows.empty() || windows.size() == static_cast<size_t>(layers.size()));
  BATON_RETURN_IF_ERROR(device::CheckShape(layout.type, shape));
  const size_t page_bytes = layout.layer_bytes() * layers.size();
  const size_t pages =
      std::min<size_t>(bytes_max / page_bytes, std::numeric_limits<int>::max() / 2);
  if (pages == 0) {
    return MakeError(Code::kResourceExhausted,
                     "{} bytes of KV cache hold no page of {} bytes ({} tokens)", bytes_max,
                     page_bytes, kPageTokens);
  }
  BATON_ASSIGN_OR_RETURN(auto storage, device.Allocate(pages * page_bytes));
  return std::unique_ptr<PagePool>(new PagePool(device, std::move(storage), layers, layout,
                                                static_cast<int>(pages), std::move(windows)));
}

PagePool::PagePool(device::Device& device, std::unique_ptr<device::Buffer> storage,
                   LayerRange layers, KvLayout layout, int pages, Windows windows)
    : device_(&device),
      storage_(std::move(storage)),
      layers_(layers),
      layout_(layout),
      pages_total_(pages),
      windows_(std::move(windows)),
      references_(pages, 0) {
  free_.reserve(pages);
}

PagePool::~PagePool() {
  CHECK(pages_free() == pages_total_, "{} pages outlive their pool", pages_total_ - pages_free());
}

Result<Page> PagePool::Allocate() {
  int32_t index = 0;
  bool used_before = false;
  {
    MutexLock lock(mutex_);
    if (free_.empty() && first_untouched_ == pages_total_) {
      return MakeError(Code::kResourceExhausted, "all {} pages of KV cache are in use",
                       pages_total_);
    }
    // Pages used before come first: their memory is already taken.
    used_before = !free_.empty();
    index = used_before ? free_.back() : first_untouched_++;
    if (used_before) free_.pop_back();
    references_[index] = 1;
  }
  if (used_before) Clear(index);
  return Page(this, index);
}

int PagePool::pages_free() const {
  MutexLock lock(mutex_);
  return static_cast<int>(free_.size()) + pages_total_ - first_untouched_;
}

size_t PagePool::LayerOffset(int layer) const {
  CHECK(layers_.Contains(layer), "layer {} of [{}, {})", layer, layers_.first, layers_.last);
  return (layer - layers_.first) * layout_.layer_bytes();
}

int PagePool::WindowOf(int layer) const {
  CHECK(layers_.Contains(layer), "layer {} of [{}, {})", layer, layers_.first, layers_.last);
  return windows_.empty() ? 0 : windows_[static_cast<size_t>(layer - layers_.first)];
}

int PagePool::window_max() const {
  return windows_.empty() ? 0 : *std::max_element(windows_.begin(), windows_.end());
}

void PagePool::AddReference(int32_t index) {
  MutexLock lock(mutex_);
  ++references_[index];
}

void PagePool::Release(int32_t index) {
  MutexLock lock(mutex_);
  CHECK(references_[index] > 0, "page {} released twice", index);
  if (--references_[index] == 0) free_.push_back(index);
}

void PagePool::Clear(int32_t index) {
  std::memset(storage_->host() + index * page_bytes(), 0, page_bytes());
}

}  // namespace baton::kv
