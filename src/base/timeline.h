// Timeline: what a node did lately, for pictures of it: the steps of its engine and what it sent of
// KV caches. The newest events push out the oldest. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/ids.h"
#include "base/mutex.h"

namespace baton {

enum class Activity : uint8_t { kPrefill, kDecode, kKvSend };

struct TimelineEvent {
  Activity activity = Activity::kDecode;
  std::chrono::steady_clock::time_point begin, end;
  LayerRange layers;
  int32_t first_token = 0;
  int32_t tokens = 0;  // of one sequence, or one of each of so many
  NodeId to;           // kKvSend
  uint64_t bytes = 0;  // kKvSend
};

class Timeline {
 public:
  static constexpr size_t kEventsMax = 1 << 14;

  void Add(TimelineEvent event) BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    events_.push_back(event);
    if (events_.size() > kEventsMax) events_.pop_front();
  }
  // In the order in which they ended.
  std::vector<TimelineEvent> Events() const BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return {events_.begin(), events_.end()};
  }

 private:
  mutable Mutex mutex_;
  std::deque<TimelineEvent> events_ BATON_GUARDED_BY(mutex_);
};

}  // namespace baton
