#include "model/tokenizer/pipeline/arena_resource.h"

#include <cstddef>

#include "base/check.h"

namespace baton {
namespace {

constexpr size_t kBlockBytes = 16 << 10;
constexpr size_t kAlignment = alignof(std::max_align_t);

}  // namespace

void* ArenaResource::do_allocate(size_t bytes, size_t alignment) {
  CHECK(alignment <= kAlignment, "{} bytes", alignment);
  const size_t taken = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const bool alone = taken >= kBlockBytes / 4;
  if (alone || taken > free_bytes_) {
    const size_t block_bytes = alone ? taken : kBlockBytes;
    blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(block_bytes));
    *bytes_ += block_bytes;
    if (alone) return blocks_.back().get();
    free_ = blocks_.back().get();
    free_bytes_ = block_bytes;
  }
  std::byte* memory = free_;
  free_ += taken;
  free_bytes_ -= taken;
  return memory;
}

}  // namespace baton
