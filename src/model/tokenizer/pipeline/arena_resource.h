// ArenaResource: memory for a tree of JSON values that is built once and freed as a whole. It
// counts what it holds, and gives small values nothing but their own bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <boost/json/memory_resource.hpp>

namespace baton {

class ArenaResource final : public boost::json::memory_resource {
 public:
  // Adds to `bytes` what its blocks take.
  explicit ArenaResource(std::shared_ptr<size_t> bytes) : bytes_(std::move(bytes)) {}

 private:
  void* do_allocate(size_t bytes, size_t alignment) override;
  void do_deallocate(void*, size_t, size_t) override {}
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  const std::shared_ptr<size_t> bytes_;
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::byte* free_ = nullptr;  // in the last block
  size_t free_bytes_ = 0;
};

}  // namespace baton
