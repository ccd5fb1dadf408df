#include "kv/page_pool.h"

#include <limits>

#include "base/check.h"

namespace baton::kv {

Frames::~Frames() {
  pool_->Release(indices_);
}

Result<std::unique_ptr<PagePool>> PagePool::Create(device::Device& device, LayerRange layers,
                                                   KvLayout layout, size_t bytes_max,
                                                   Windows windows, int chunk_tokens) {
  const KvShape shape = layout.shape;
  CHECK(layers.size() > 0 && shape.kv_heads > 0 && shape.head_dim > 0, "an empty KV shape");
  CHECK(windows.empty() || windows.size() == static_cast<size_t>(layers.size()));
  BATON_RETURN_IF_ERROR(device::CheckShape(layout.type, shape));
  const size_t frame_bytes = layout.layer_bytes();
  const size_t frames =
      std::min<size_t>(bytes_max / frame_bytes, std::numeric_limits<int>::max() / 2);
  if (frames < static_cast<size_t>(layers.size())) {
    return MakeError(Code::kResourceExhausted,
                     "{} bytes of KV cache hold no page of {} bytes ({} tokens)", bytes_max,
                     frame_bytes * layers.size(), kPageTokens);
  }
  BATON_ASSIGN_OR_RETURN(auto storage, device.Allocate(frames * frame_bytes));
  return std::unique_ptr<PagePool>(new PagePool(device, std::move(storage), layers, layout,
                                                static_cast<int>(frames), std::move(windows),
                                                chunk_tokens));
}

PagePool::PagePool(device::Device& device, std::unique_ptr<device::Buffer> storage,
                   LayerRange layers, KvLayout layout, int frames, Windows windows,
                   int chunk_tokens)
    : device_(&device),
      storage_(std::move(storage)),
      layers_(layers),
      layout_(layout),
      frames_total_(frames),
      windows_(std::move(windows)),
      chunk_tokens_(chunk_tokens) {
  int32_t places[2] = {};
  for (int layer = layers.first; layer < layers.last; ++layer) {
    window_max_ = std::max(window_max_, WindowOf(layer));
    place_in_part_.push_back(places[static_cast<int>(KindOf(layer))]++);
  }
}

PagePool::~PagePool() {
  CHECK(frames_free() == frames_total_, "{} frames outlive their pool",
        frames_total_ - frames_free());
}

int PagePool::LayersOf(LayerKind kind) const {
  int count = 0;
  for (int layer = layers_.first; layer < layers_.last; ++layer) count += KindOf(layer) == kind;
  return count;
}

Result<PagePart> PagePool::Allocate(LayerKind kind) {
  const int wanted = LayersOf(kind);
  if (wanted == 0) return PagePart();
  std::vector<int32_t> indices;
  size_t used_before = 0;
  {
    MutexLock lock(mutex_);
    const int untouched = frames_total_ - first_untouched_;
    if (static_cast<int>(free_.size()) + untouched < wanted) {
      return MakeError(Code::kResourceExhausted, "all {} frames of KV cache are in use, but {}",
                       frames_total_, free_.size() + static_cast<size_t>(untouched));
    }
    // Frames used before come first: their memory is already taken.
    used_before = std::min(free_.size(), static_cast<size_t>(wanted));
    indices.assign(free_.rbegin(), free_.rbegin() + static_cast<ptrdiff_t>(used_before));
    free_.resize(free_.size() - used_before);
    while (static_cast<int>(indices.size()) < wanted) indices.push_back(first_untouched_++);
  }
  for (size_t i = 0; i < used_before; ++i) {
    uint8_t* frame = storage_->host() + static_cast<size_t>(indices[i]) * frame_bytes();
    device_->ClearKv(layout_, {frame, frame_bytes()});
  }
  return std::make_shared<const Frames>(*this, std::move(indices));
}

int PagePool::frames_free() const {
  MutexLock lock(mutex_);
  return static_cast<int>(free_.size()) + frames_total_ - first_untouched_;
}

int PagePool::WindowOf(int layer) const {
  CHECK(layers_.Contains(layer), "layer {} of [{}, {})", layer, layers_.first, layers_.last);
  return windows_.empty() ? 0 : windows_[static_cast<size_t>(layer - layers_.first)];
}

int32_t PagePool::FrameOf(const Page& page, int layer) const {
  const PagePart& part = page.Part(KindOf(layer));
  const auto place =
      static_cast<size_t>(place_in_part_[static_cast<size_t>(layer - layers_.first)]);
  return part == nullptr ? -1 : part->indices()[place];
}

uint8_t* PagePool::BytesOf(const Page& page, int layer) const {
  const int32_t frame = FrameOf(page, layer);
  CHECK(frame >= 0, "a page without layer {}", layer);
  return storage_->host() + static_cast<size_t>(frame) * frame_bytes();
}

void PagePool::Release(const std::vector<int32_t>& indices) {
  MutexLock lock(mutex_);
  free_.insert(free_.end(), indices.begin(), indices.end());
}

}  // namespace baton::kv
