#include "os/memory.h"

#include <sys/mman.h>

#include <utility>

#include "os/topology.h"

namespace baton::os {

Result<LargeMemory> LargeMemory::Allocate(size_t bytes) {
  if (bytes == 0) return LargeMemory();
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return MakeError(Code::kResourceExhausted, "the system refuses {} bytes of memory", bytes);
  }
  ::madvise(data, bytes, MADV_HUGEPAGE);
  SpreadOverMemoryNodes(data, bytes);
  return LargeMemory(static_cast<uint8_t*>(data), bytes);
}

LargeMemory::LargeMemory(LargeMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

LargeMemory& LargeMemory::operator=(LargeMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

LargeMemory::~LargeMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace baton::os
