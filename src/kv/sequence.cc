#include "kv/sequence.h"

#include <algorithm>

#include "base/check.h"

namespace baton::kv {

Sequence::Sequence(PagePool& pool, PageTable prefix, int window_from)
    : pool_(&pool),
      pages_(std::move(prefix)),
      window_from_(window_from),
      shared_pages_(static_cast<int>(pages_.size())) {
  length_ = capacity();
  RefreshIndices();
}

Status Sequence::Reserve(int tokens) {
  PageTable more;
  for (int missing = PagesFor(tokens) - static_cast<int>(pages_.size()); missing > 0; --missing) {
    BATON_ASSIGN_OR_RETURN(Page page, pool_->Allocate());
    more.push_back(std::move(page));
  }
  if (more.empty()) return OkStatus();
  pages_.insert(pages_.end(), more.begin(), more.end());
  RefreshIndices();
  return OkStatus();
}

void Sequence::SetLength(int length) {
  CHECK(length >= 0 && length <= capacity(), "length {} of {}", length, capacity());
  length_ = length;
}

int Sequence::Truncate(int length) {
  CHECK(length >= 0, "length {}", length);
  length = std::min(length, length_);
  if (length < first_writable()) {
    shared_pages_ = length / kPageTokens;
    length = first_writable();
  }
  if (window_from_ > std::max(0, length + 1 - pool_->window_max())) {
    length = shared_pages_ = window_from_ = 0;
  }
  pages_.erase(pages_.begin() + PagesFor(length), pages_.end());
  RefreshIndices();
  length_ = length;
  return length_;
}

PageTable Sequence::SharePrefix(int tokens) {
  CHECK(tokens <= length_, "{} tokens of {}", tokens, length_);
  const int pages = tokens / kPageTokens;
  shared_pages_ = std::max(shared_pages_, pages);
  return PageTable(pages_.begin(), pages_.begin() + pages);
}

device::KvLayer Sequence::Layer(int layer) const {
  return LayerOf(*pool_, indices_, layer);
}

void Sequence::RefreshIndices() {
  indices_.clear();
  for (const Page& page : pages_) indices_.push_back(page.index());
}

device::KvLayer LayerOf(const PagePool& pool, std::span<const int32_t> indices, int layer) {
  return {&pool.storage(), indices, pool.page_bytes(), pool.LayerOffset(layer), pool.layout()};
}

}  // namespace baton::kv
