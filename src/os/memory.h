// Large anonymous memory: page-aligned, zeroed, in huge pages where the system allows. Address
// space is reserved at once; memory is taken when it is first written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace baton::os {

// Move-only; returned to the system at the end.
class LargeMemory {
 public:
  LargeMemory() = default;
  // kResourceExhausted if the system refuses.
  static Result<LargeMemory> Allocate(size_t bytes);
  LargeMemory(LargeMemory&& other) noexcept;
  LargeMemory& operator=(LargeMemory&& other) noexcept;
  ~LargeMemory();

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  LargeMemory(uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace baton::os
