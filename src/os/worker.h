// Worker: a thread that runs what it is given, one after the other. Its queue is bounded; what is
// still in it at the end is dropped.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "base/bounded_queue.h"

namespace baton::os {

class Worker {
 public:
  // `name` as debuggers show it, at most 15 characters.
  Worker(const char* name, size_t capacity);
  // Waits for the task that runs.
  ~Worker();

  // Any thread; false if the queue is full.
  bool TryPost(std::function<void()> task) { return queue_.TryPush(std::move(task)); }

 private:
  BoundedQueue<std::function<void()>> queue_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace baton::os
