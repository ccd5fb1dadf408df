// Pause: a thread's sleep that another may end, for good.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace baton::os {

class Pause {
 public:
  // False once End() was called, at once.
  bool For(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !ended_changed_.wait_for(lock, time, [this] { return ended_; });
  }
  void End() {
    {
      const std::scoped_lock lock(mutex_);
      ended_ = true;
    }
    ended_changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;
};

}  // namespace baton::os
