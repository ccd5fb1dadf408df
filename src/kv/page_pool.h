// PagePool: the memory of the KV cache of one stage. A page is 64 tokens of one sequence in all
// layers of the stage's range, a frame one layer of it; the pool is cut into frames.
//
// A page has two parts, each of which is granted and freed for itself: one of the layers that see
// all tokens, one of those with a sliding window. A sequence keeps the first as long as it lives
// and gives the second up once its window has passed.
//
// Frames belong to whoever holds a handle of their part and return to the pool with the last one.
// The device clears them before they are handed out again: nobody reads what another request left.
//
// Threads: all of PagePool and PagePart may be used from any thread. The bytes of a frame are not
// guarded: whoever writes a frame must be the only one to touch it at that time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "base/mutex.h"
#include "base/result.h"
#include "device/device.h"

namespace baton::kv {

using device::kPageTokens;
using device::KvLayout;
using device::KvShape;

inline int PagesFor(int tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}

// Tokens that attention sees in each layer of a stage, 0: all. Empty: no layer has a window.
using Windows = std::vector<int32_t>;

// The first token that one at `position` sees in a layer with this window.
inline int FirstSeen(int position, int window) {
  return window == 0 ? 0 : std::max(0, position + 1 - window);
}

// Of `tokens` tokens the first whose K and V are wanted in a layer with this window, so that the
// sequence can go on behind them, or behind their last whole page. At least one token is.
inline int FirstWanted(int tokens, int window) {
  if (window == 0) return 0;
  return std::min(FirstSeen(tokens / kPageTokens * kPageTokens, window), std::max(0, tokens - 1));
}

class PagePool;

// The frames of one part of a page. Must not outlive its pool.
class Frames {
 public:
  Frames(PagePool& pool, std::vector<int32_t> indices)
      : pool_(&pool), indices_(std::move(indices)) {}
  ~Frames();
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;

  // Positions in the pool's storage, of the part's layers in order.
  const std::vector<int32_t>& indices() const { return indices_; }

 private:
  PagePool* const pool_;
  const std::vector<int32_t> indices_;
};

// A counted reference; null where there is none, as where no layer is of that kind.
using PagePart = std::shared_ptr<const Frames>;

enum class LayerKind : uint8_t { kFull, kWindowed };

// Copies share the frames.
struct Page {
  PagePart full;      // of layers that see all tokens
  PagePart windowed;  // of layers with a window

  const PagePart& Part(LayerKind kind) const { return kind == LayerKind::kFull ? full : windowed; }
};

class PagePool {
 public:
  // As many frames as fit in `bytes_max`, at least those of one page or kResourceExhausted;
  // kInvalidArgument if the layout's type has no such heads. Memory is taken from the system when a
  // frame is first used. `device` must outlive the pool. `windows`, if any, has an element for each
  // of the layers; sequences are computed in chunks of at most `chunk_tokens`.
  static Result<std::unique_ptr<PagePool>> Create(device::Device& device, LayerRange layers,
                                                  KvLayout layout, size_t bytes_max,
                                                  Windows windows = {}, int chunk_tokens = 512);
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // Null if no layer is of that kind; kResourceExhausted when too few frames are free.
  Result<PagePart> Allocate(LayerKind kind) BATON_EXCLUDES(mutex_);

  LayerRange layers() const { return layers_; }
  KvLayout layout() const { return layout_; }
  KvShape shape() const { return layout_.shape; }
  size_t frame_bytes() const { return layout_.layer_bytes(); }
  int frames_total() const { return frames_total_; }
  int frames_free() const BATON_EXCLUDES(mutex_);
  device::Device& device() const { return *device_; }
  device::Buffer& storage() const { return *storage_; }

  LayerKind KindOf(int layer) const {
    return WindowOf(layer) == 0 ? LayerKind::kFull : LayerKind::kWindowed;
  }
  int LayersOf(LayerKind kind) const;
  int WindowOf(int layer) const;
  // The largest of the layers' windows; 0 if none has one.
  int window_max() const { return window_max_; }
  // Pages whose windowed part a sequence of `tokens` needs at once.
  int WindowPages(int tokens) const { return PagesHeld(tokens, window_max_, chunk_tokens_); }
  // Where the frame of a page in one layer lies; -1 if the page has no such part.
  int32_t FrameOf(const Page& page, int layer) const;
  // K and V of one layer of a page that has it, as device::KvLayout describes them.
  uint8_t* BytesOf(const Page& page, int layer) const;

 private:
  friend class Frames;
  PagePool(device::Device& device, std::unique_ptr<device::Buffer> storage, LayerRange layers,
           KvLayout layout, int frames, Windows windows, int chunk_tokens);
  void Release(const std::vector<int32_t>& indices) BATON_EXCLUDES(mutex_);

  device::Device* const device_;
  const std::unique_ptr<device::Buffer> storage_;
  const LayerRange layers_;
  const KvLayout layout_;
  const int frames_total_;
  const Windows windows_;
  const int chunk_tokens_;
  int window_max_ = 0;
  std::vector<int32_t> place_in_part_;  // per layer

  mutable Mutex mutex_;
  std::vector<int32_t> free_ BATON_GUARDED_BY(mutex_);    // used before, to be cleared
  int32_t first_untouched_ BATON_GUARDED_BY(mutex_) = 0;  // frames from here on are still zero
};

}  // namespace baton::kv
