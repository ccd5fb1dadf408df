#include "model/testing/heap_meter.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include <gtest/gtest.h>
#include <malloc.h>

namespace baton {
namespace {

std::atomic<size_t> live_bytes{0};
std::atomic<size_t> peak_live_bytes{0};

void* Allocate(size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  const size_t now = live_bytes += malloc_usable_size(memory);
  size_t peak = peak_live_bytes;
  while (now > peak && !peak_live_bytes.compare_exchange_weak(peak, now)) {
  }
  return memory;
}

void Free(void* memory) {
  live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

HeapMeter::HeapMeter() : live_at_begin_(live_bytes) {
  peak_live_bytes = live_at_begin_;
}

size_t HeapMeter::peak_bytes() const {
  return peak_live_bytes - live_at_begin_;
}

TEST(HeapMeter, SeesWhatWasFreed) {
  const HeapMeter meter;
  {
    const std::vector<char> large(5 << 20);
    EXPECT_EQ(large.back(), 0);
  }
  EXPECT_GE(meter.peak_bytes(), size_t{5} << 20);
  EXPECT_LT(meter.peak_bytes(), size_t{6} << 20);
}

}  // namespace baton

void* operator new(size_t size) {
  return baton::Allocate(size);
}
void operator delete(void* memory) noexcept {
  baton::Free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  baton::Free(memory);
}
