// Sequence: the KV cache of one request on one stage: a page table and the number of tokens in it.
//
// Layers with a sliding window hold what is seen from the next token on and no more: tokens before
// window_from() may be missing there, and pages that end before it have no windowed part.
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

// Of one layer, where in the pool's storage each page's frame lies; -1 where there is none.
std::vector<int32_t> FramesOf(const PagePool& pool, const PageTable& pages, int layer);
// The device's view of one layer whose pages lie at `frames`.
device::KvLayer LayerOf(const PagePool& pool, std::span<const int32_t> frames);

class Sequence {
 public:
  // `pool` must outlive the sequence.
  explicit Sequence(PagePool& pool) : Sequence(pool, {}) {}
  // Starts with full pages that others hold too (a cached prefix), which layers with a window hold
  // from token `window_from` on. They are read-only here.
  Sequence(PagePool& pool, PageTable prefix, int window_from = 0);

  // Tokens whose K and V are complete in all layers, or will be once a running import is sealed.
  int length() const { return length_; }
  // Of these, the first ones that are complete for certain.
  int complete() const { return complete_; }
  // Tokens that the granted pages have room for.
  int capacity() const { return static_cast<int>(pages_.size()) * kPageTokens; }
  const PageTable& pages() const { return pages_; }
  PagePool& pool() const { return *pool_; }
  // Layers with a window hold the tokens from here on.
  int window_from() const { return window_from_; }

  // Tokens of the text whose keys these are, on which the positions of some models depend
  // (ModelSpec::TurnsLong). To be said before the first token is computed.
  int text_tokens() const { return text_tokens_; }
  void SetTextTokens(int tokens) { text_tokens_ = tokens; }

  // Grants pages until `tokens` tokens fit, and of their windowed parts those that a chunk from
  // here on needs. On failure (kResourceExhausted) nothing changes.
  Status Reserve(int tokens);
  // Before tokens [first, first + count) are computed, at most a chunk: gives up the windowed parts
  // that nobody sees from the page of `first` on, and grants as Reserve() does. On failure nothing
  // is granted.
  Status Slide(int first, int count);
  // Windowed parts that Slide(first, ...) gives up are those of the pages before this one.
  int FirstPageKept(int first) const;
  // The first page that has a windowed part, or may get one.
  int first_windowed_page() const { return first_windowed_page_; }

  // Declares the first `length` tokens present; they must fit the granted pages.
  void SetLength(int length);
  // The first `length` tokens, for which there is room, are on their way: in layers with a window
  // those that FirstWanted() says. Reserve() then grants the parts for them. Truncate() calls it
  // off.
  void Await(int length);
  // While awaiting: gives up the windowed parts of what is complete, where memory is short. Calling
  // it off then leaves less.
  void ForgetCompleteWindow();
  // Drops tokens from `length` on, and what is not complete, and the pages they leave empty, to
  // write them anew. A shared page
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
  void GiveUpWindowed(int first_page, int end_page);
  void RefreshFrames();

  PagePool* pool_;
  PageTable pages_;
  std::vector<std::vector<int32_t>> frames_;  // of each layer, as devices read it
  int length_ = 0;
  int complete_ = 0;
  int window_from_ = 0;
  int complete_window_from_ = 0;  // of what is complete
  int first_windowed_page_ = 0;   // none before it has a windowed part
  int windowed_from_page_ = 0;    // those from here on get one
  int shared_pages_ = 0;
  int text_tokens_ = 0;
};

}  // namespace baton::kv
