#include "kv/sequence.h"

#include <algorithm>

#include "base/check.h"

namespace baton::kv {

std::vector<int32_t> FramesOf(const PagePool& pool, const PageTable& pages, int layer) {
  std::vector<int32_t> frames;
  frames.reserve(pages.size());
  for (const Page& page : pages) frames.push_back(pool.FrameOf(page, layer));
  return frames;
}

device::KvLayer LayerOf(const PagePool& pool, std::span<const int32_t> frames) {
  return {&pool.storage(), frames, pool.frame_bytes(), 0, pool.layout()};
}

Sequence::Sequence(PagePool& pool, PageTable prefix, int window_from)
    : pool_(&pool),
      pages_(std::move(prefix)),
      length_(capacity()),
      complete_(length_),
      windowed_from_page_(FirstPageKept(length_)),
      shared_pages_(static_cast<int>(pages_.size())) {
  const auto held = std::find_if(pages_.begin(), pages_.end(),
                                 [](const Page& page) { return page.windowed != nullptr; });
  first_windowed_page_ = std::min(static_cast<int>(held - pages_.begin()), windowed_from_page_);
  window_from_ = std::max(window_from, first_windowed_page_ * kPageTokens);
  complete_window_from_ = window_from_;
  RefreshFrames();
}

int Sequence::FirstPageKept(int first) const {
  return FirstSeen(first / kPageTokens * kPageTokens, pool_->window_max()) / kPageTokens;
}

Status Sequence::Reserve(int tokens) {
  const int room = std::max(PagesFor(tokens), static_cast<int>(pages_.size()));
  int windowed_end = 0;
  if (pool_->window_max() > 0) {
    windowed_end = std::min(room, windowed_from_page_ + pool_->WindowPages(room * kPageTokens));
  }
  const auto lacks = [&](int i) {
    return i >= static_cast<int>(pages_.size()) ||
           pages_[static_cast<size_t>(i)].windowed == nullptr;
  };
  int first_lacking = windowed_from_page_;
  while (first_lacking < windowed_end && !lacks(first_lacking)) ++first_lacking;
  if (room == static_cast<int>(pages_.size()) && first_lacking >= windowed_end) return OkStatus();

  // Counted before any is taken: to take one is to clear it, which would be in vain, and again for
  // each page that a cache gives up.
  int lacking_windows = 0;
  for (int i = first_lacking; i < windowed_end; ++i) lacking_windows += lacks(i) ? 1 : 0;
  const int wanted = (room - static_cast<int>(pages_.size())) * pool_->LayersOf(LayerKind::kFull) +
                     lacking_windows * pool_->LayersOf(LayerKind::kWindowed);
  if (const int free = pool_->frames_free(); wanted > free) {
    return MakeError(Code::kResourceExhausted, "all {} frames of KV cache are in use, but {}",
                     pool_->frames_total(), free);
  }
  PageTable pages = pages_;
  while (static_cast<int>(pages.size()) < room) {
    BATON_ASSIGN_OR_RETURN(PagePart full, pool_->Allocate(LayerKind::kFull));
    pages.push_back({std::move(full), nullptr});
  }
  for (int i = first_lacking; i < windowed_end; ++i) {
    PagePart& windowed = pages[static_cast<size_t>(i)].windowed;
    if (windowed != nullptr) continue;
    BATON_ASSIGN_OR_RETURN(windowed, pool_->Allocate(LayerKind::kWindowed));
  }
  pages_ = std::move(pages);
  RefreshFrames();
  return OkStatus();
}

Status Sequence::Slide(int first, int count) {
  const int kept = FirstPageKept(first);
  if (kept > first_windowed_page_) {
    GiveUpWindowed(first_windowed_page_, kept);
    first_windowed_page_ = kept;
    windowed_from_page_ = std::max(windowed_from_page_, kept);
    window_from_ = std::max(window_from_, kept * kPageTokens);
  }
  return Reserve(std::max(first + count, capacity()));
}

void Sequence::GiveUpWindowed(int first_page, int end_page) {
  const int end = std::min(end_page, static_cast<int>(pages_.size()));
  for (int i = first_page; i < end; ++i) pages_[static_cast<size_t>(i)].windowed = nullptr;
  RefreshFrames();
}

void Sequence::SetLength(int length) {
  CHECK(length >= 0 && length <= capacity(), "length {} of {}", length, capacity());
  length_ = complete_ = length;
  complete_window_from_ = window_from_;
}

void Sequence::Await(int length) {
  CHECK(length >= complete_ && length <= capacity(), "length {} of {}", length, capacity());
  length_ = length;
  const int wanted = FirstWanted(length, pool_->window_max());
  if (pool_->window_max() == 0) return;
  // What is complete ends with what its next token sees, which is kept as long as this may fail.
  windowed_from_page_ = wanted / kPageTokens;
  GiveUpWindowed(PagesFor(complete_), windowed_from_page_);
  if (wanted > complete_) window_from_ = wanted;
}

void Sequence::ForgetCompleteWindow() {
  if (first_windowed_page_ >= windowed_from_page_) return;
  GiveUpWindowed(first_windowed_page_, windowed_from_page_);
  first_windowed_page_ = windowed_from_page_;
  complete_window_from_ = std::max(complete_window_from_, windowed_from_page_ * kPageTokens);
}

int Sequence::Truncate(int length) {
  CHECK(length >= 0, "length {}", length);
  length = std::min(length, complete_);
  window_from_ = complete_window_from_;
  if (length < first_writable()) {
    shared_pages_ = length / kPageTokens;
    length = first_writable();
  }
  if (window_from_ > FirstSeen(length, pool_->window_max())) {
    length = shared_pages_ = window_from_ = complete_window_from_ = 0;
  }
  pages_.erase(pages_.begin() + PagesFor(length), pages_.end());
  windowed_from_page_ = FirstPageKept(length);
  first_windowed_page_ = std::min(first_windowed_page_, windowed_from_page_);
  RefreshFrames();
  length_ = complete_ = length;
  return length_;
}

PageTable Sequence::SharePrefix(int tokens) {
  CHECK(tokens <= length_, "{} tokens of {}", tokens, length_);
  const int pages = tokens / kPageTokens;
  shared_pages_ = std::max(shared_pages_, pages);
  return PageTable(pages_.begin(), pages_.begin() + pages);
}

device::KvLayer Sequence::Layer(int layer) const {
  return LayerOf(*pool_, frames_[static_cast<size_t>(layer - pool_->layers().first)]);
}

void Sequence::RefreshFrames() {
  const LayerRange layers = pool_->layers();
  frames_.resize(static_cast<size_t>(layers.size()));
  for (int layer = layers.first; layer < layers.last; ++layer) {
    frames_[static_cast<size_t>(layer - layers.first)] = FramesOf(*pool_, pages_, layer);
  }
}

}  // namespace baton::kv
