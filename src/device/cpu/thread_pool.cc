#include "device/cpu/thread_pool.h"

#include <algorithm>

#include "base/check.h"
#include "os/system.h"
#include "os/topology.h"

namespace baton::device {
namespace {

// About 20 us: longer than the gap between two ops of a decode step, shorter than a time slice.
constexpr int kSpins = 2000;

inline void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads, bool pin) : ranges_(static_cast<size_t>(std::max(threads, 1))) {
  CHECK(threads >= 1, "{} threads", threads);
  const std::vector<int> processors = pin ? os::ComputeProcessors() : std::vector<int>();
  for (int worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker, processors] {
      os::NameThisThread("baton-compute");
      if (!processors.empty()) os::PinThisThread(processors[worker % processors.size()]);
      Work(worker);
    });
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_release);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(const Loop& loop) {
  loop_ = loop;
  const size_t workers = ranges_.size();
  for (size_t i = 0; i < workers; ++i) {
    ranges_[i].next.store(loop.count * i / workers, std::memory_order_relaxed);
    ranges_[i].end = loop.count * (i + 1) / workers;
  }
  gate_.fetch_or(kOpen, std::memory_order_release);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  Share(0);
  gate_.fetch_and(~kOpen, std::memory_order_relaxed);
  AwaitLeavers();
}

void ThreadPool::AwaitLeavers() {
  for (int spins = 0; spins < kSpins; ++spins) {
    if (gate_.load(std::memory_order_acquire) == 0) return;
    Relax();
  }
  while (const uint32_t inside = gate_.load(std::memory_order_acquire)) {
    gate_.wait(inside, std::memory_order_acquire);
  }
}

void ThreadPool::Share(int worker) {
  const size_t workers = ranges_.size();
  for (size_t i = 0; i < workers; ++i) {
    Range& range = ranges_[(static_cast<size_t>(worker) + i) % workers];
    while (true) {
      const size_t index = range.next.fetch_add(1, std::memory_order_relaxed);
      if (index >= range.end) break;
      loop_.call(loop_.context, index, worker);
    }
  }
}

uint32_t ThreadPool::AwaitRound(uint32_t seen) {
  for (int spins = 0; spins < kSpins; ++spins) {
    const uint32_t round = round_.load(std::memory_order_acquire);
    if (round != seen) return round;
    Relax();
  }
  round_.wait(seen, std::memory_order_acquire);
  return round_.load(std::memory_order_acquire);
}

void ThreadPool::Work(int worker) {
  uint32_t seen = 0;
  while (true) {
    seen = AwaitRound(seen);
    if (stopping_.load(std::memory_order_acquire)) return;
    const uint32_t before = gate_.fetch_add(1, std::memory_order_acquire);
    if ((before & kOpen) != 0) Share(worker);
    if (gate_.fetch_sub(1, std::memory_order_release) == 1) gate_.notify_one();
  }
}

}  // namespace baton::device
