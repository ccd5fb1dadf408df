// PagePool: the memory of the KV cache of one stage, cut into pages of 64 tokens. A page holds all
// layers of the stage's range for those tokens, so a sequence has one page table.
//
// A page belongs to whoever holds a Page handle of it and returns to the pool with the last one. It
// is zeroed before it is handed out again: nobody reads what another request left.
//
// Threads: all of PagePool and Page may be used from any thread. The bytes of a page are not
// guarded: whoever writes a (page, layer) must be the only one to touch it at that time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
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

// Of `tokens` tokens the first whose K and V are wanted in a layer with this window, so that the
// sequence can go on behind them, or behind their last whole page. At least one token is.
inline int FirstWanted(int tokens, int window) {
  if (window == 0) return 0;
  const int whole = tokens / kPageTokens * kPageTokens;
  return std::clamp(whole + 1 - window, 0, std::max(0, tokens - 1));
}

class PagePool;

// A counted reference to one page. Copies share the page. Must not outlive its pool.
class Page {
 public:
  Page(const Page& other);
  Page(Page&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_) {}
  Page& operator=(Page other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(index_, other.index_);
    return *this;
  }
  ~Page();

  // Position in the pool's storage.
  int32_t index() const { return index_; }
  // K and V of one layer, as device::KvLayout describes them.
  uint8_t* Layer(int layer) const;

 private:
  friend class PagePool;
  Page(PagePool* pool, int32_t index) : pool_(pool), index_(index) {}
  PagePool* pool_;
  int32_t index_;
};

class PagePool {
 public:
  // As many pages as fit in `bytes_max`, at least one or kResourceExhausted; kInvalidArgument if
  // the layout's type has no such heads. Memory is taken from the system when a page is first used.
  // `device` must outlive the pool. `windows`, if any, has an element for each of the layers.
  static Result<std::unique_ptr<PagePool>> Create(device::Device& device, LayerRange layers,
                                                  KvLayout layout, size_t bytes_max,
                                                  Windows windows = {});
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // kResourceExhausted when every page is in use.
  Result<Page> Allocate() BATON_EXCLUDES(mutex_);

  LayerRange layers() const { return layers_; }
  KvLayout layout() const { return layout_; }
  KvShape shape() const { return layout_.shape; }
  size_t page_bytes() const { return layout_.layer_bytes() * layers_.size(); }
  int pages_total() const { return pages_total_; }
  int pages_free() const BATON_EXCLUDES(mutex_);
  device::Device& device() const { return *device_; }
  device::Buffer& storage() const { return *storage_; }
  // Offset of `layer` within a page.
  size_t LayerOffset(int layer) const;
  int WindowOf(int layer) const;
  // The largest of the layers' windows; 0 if none has one.
  int window_max() const;

 private:
  friend class Page;
  PagePool(device::Device& device, std::unique_ptr<device::Buffer> storage, LayerRange layers,
           KvLayout layout, int pages, Windows windows);
  void AddReference(int32_t index) BATON_EXCLUDES(mutex_);
  void Release(int32_t index) BATON_EXCLUDES(mutex_);
  void Clear(int32_t index);

  device::Device* const device_;
  const std::unique_ptr<device::Buffer> storage_;
  const LayerRange layers_;
  const KvLayout layout_;
  const int pages_total_;
  const Windows windows_;

  mutable Mutex mutex_;
  std::vector<int32_t> free_ BATON_GUARDED_BY(mutex_);        // used before, to be cleared
  int32_t first_untouched_ BATON_GUARDED_BY(mutex_) = 0;      // pages from here on are still zero
  std::vector<int32_t> references_ BATON_GUARDED_BY(mutex_);  // per page
};

}  // namespace baton::kv
