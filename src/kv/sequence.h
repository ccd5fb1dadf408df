// Sequence: the KV cache of one request on one stage: a page table and the number of tokens in it.
//
// Layers with a sliding window need not hold what nobody will see again: tokens before
// window_from() may be missing there.
//
// Only the engine's thread changes a Sequence. Whoever streams KV in or out on another thread takes
// pages() by value first: a PageTable keeps its pages alive and does not change under its reader.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "kv/page_pool.h"

namespace baton::kv {

// Page i holds tokens [64 i, 64 i + 64).
using PageTable = std::vector<Page>;

// The device's view of one layer of the pages at `indices`.
device::KvLayer LayerOf(const PagePool& pool, std::span<const int32_t> indices, int layer);

class Sequence {
 public:
  // `pool` must outlive the sequence.
  explicit Sequence(PagePool& pool) : pool_(&pool) {}
  // Starts with full pages that others hold too (a cached prefix), which layers with a window hold
  // from token `window_from` on. They are read-only here.
  Sequence(PagePool& pool, PageTable prefix, int window_from = 0);

  // Tokens whose K and V are complete in all layers, or will be once a running import is sealed.
  int length() const { return length_; }
  // Tokens that the granted pages have room for.
  int capacity() const { return static_cast<int>(pages_.size()) * kPageTokens; }
  const PageTable& pages() const { return pages_; }
  PagePool& pool() const { return *pool_; }

  // Layers with a window hold the tokens from here on.
  int window_from() const { return window_from_; }
  void SetWindowFrom(int token) { window_from_ = token; }

  // Grants pages until `tokens` tokens fit. On failure (kResourceExhausted) nothing changes.
  Status Reserve(int tokens);
  // Declares the first `length` tokens present; they must fit the granted pages.
  void SetLength(int length);
  // Drops tokens from `length` on and the pages they leave empty, to write them anew. A shared page
  // cannot be rewritten and is dropped whole, and where a layer with a window lacks what the next
  // token would see, nothing is left, so less may remain: returns the new length.
  int Truncate(int length);
  // The full pages of the first `tokens` tokens, to be shared. They become read-only here.
  PageTable SharePrefix(int tokens);
  // Tokens below this position cannot be rewritten without Truncate().
  int first_writable() const { return shared_pages_ * kPageTokens; }

  // The device's view of one layer. Valid until the sequence changes.
  device::KvLayer Layer(int layer) const;

 private:
  void RefreshIndices();

  PagePool* pool_;
  PageTable pages_;
  std::vector<int32_t> indices_;  // pages_[i].index(), as devices read it
  int length_ = 0;
  int window_from_ = 0;
  int shared_pages_ = 0;
};

}  // namespace baton::kv
