// BoundedQueue: how values cross threads. Full means back-pressure (Push waits) or a clear refusal
// (TryPush says no); it never grows. Any thread may call anything.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/mutex.h"

namespace baton {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) { CHECK(capacity > 0); }

  // False if the queue is full or closed; `value` is untouched then.
  bool TryPush(T&& value) BATON_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(value));
    }
    readable_.NotifyOne();
    return true;
  }

  // Waits for room. False if the queue is closed.
  bool Push(T value) BATON_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      while (!closed_ && items_.size() >= capacity_) writable_.Wait(mutex_);
      if (closed_) return false;
      items_.push_back(std::move(value));
    }
    readable_.NotifyOne();
    return true;
  }

  // Waits for a value; nothing if the queue is closed and empty.
  std::optional<T> Pop() BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (!closed_ && items_.empty()) readable_.Wait(mutex_);
    return TakeFront();
  }

  // Waits until `deadline` at most.
  std::optional<T> PopUntil(std::chrono::steady_clock::time_point deadline) BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (!closed_ && items_.empty()) {
      if (!readable_.WaitUntil(mutex_, deadline)) break;
    }
    return TakeFront();
  }

  std::optional<T> TryPop() BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return TakeFront();
  }

  // Wakes everyone: pushes fail from now on, pops drain what is left.
  void Close() BATON_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      closed_ = true;
    }
    readable_.NotifyAll();
    writable_.NotifyAll();
  }

  size_t size() const BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return items_.size();
  }

 private:
  std::optional<T> TakeFront() BATON_REQUIRES(mutex_) {
    if (items_.empty()) return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    writable_.NotifyOne();
    return value;
  }

  const size_t capacity_;
  mutable Mutex mutex_;
  CondVar readable_;
  CondVar writable_;
  std::deque<T> items_ BATON_GUARDED_BY(mutex_);
  bool closed_ BATON_GUARDED_BY(mutex_) = false;
};

}  // namespace baton
