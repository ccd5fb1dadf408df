// ThreadPool: persistent workers that share the indices of a loop. Between loops they spin for a
// few microseconds, then park, so that processes that share a core are not starved. A worker that
// the system does not run in time misses the loop: nobody waits for a thread that took no index.
//
// One thread at a time calls ForEach(); it works too, so `threads` counts it. Each thread begins
// with its own share of consecutive indices, so that what one index prefetches serves the next, and
// then takes what others have not come to (machines are shared and cores unequal): bodies must not
// care who takes which.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace baton::device {

class ThreadPool {
 public:
  // At least one thread. `pin` binds worker i to the i-th allowed processor.
  explicit ThreadPool(int threads, bool pin = false);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(index, worker) once for every index < count, worker < threads(); returns when all
  // have returned. Does not allocate.
  template <typename Body>
  void ForEach(size_t count, const Body& body) {
    if (count == 1 || workers_.empty()) {
      for (size_t i = 0; i < count; ++i) body(i, 0);
      return;
    }
    Run({count, &body, [](const void* context, size_t index, int worker) {
           (*static_cast<const Body*>(context))(index, worker);
         }});
  }

 private:
  struct Loop {
    size_t count = 0;
    const void* context = nullptr;
    void (*call)(const void* context, size_t index, int worker) = nullptr;
  };

  void Run(const Loop& loop);
  void Work(int worker);
  void Share(int worker);
  uint32_t AwaitRound(uint32_t seen);
  void AwaitLeavers();

  // The gate of the running loop: kOpen while workers may join, plus the number of those inside.
  static constexpr uint32_t kOpen = uint32_t{1} << 31;

  // What is left of one worker's share: anybody takes the next index.
  struct alignas(64) Range {
    std::atomic<size_t> next{0};
    size_t end = 0;
  };

  // Written by the caller while the gate is closed and nobody is inside, read by who has joined.
  Loop loop_;
  std::vector<Range> ranges_;  // per worker
  std::atomic<bool> stopping_{false};

  alignas(64) std::atomic<uint32_t> round_{0};  // raised for every loop: what workers wait for
  alignas(64) std::atomic<uint32_t> gate_{0};
  std::vector<std::thread> workers_;
};

}  // namespace baton::device
