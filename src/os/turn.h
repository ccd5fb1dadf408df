// Turns: what only one process of this machine does at a time, of those that run the same program.
#pragma once

#include <atomic>
#include <chrono>

namespace baton::os {

class Turn {
 public:
  // Waits until it is this process's turn, or until `stop` is set, but not for ever: whoever holds
  // it may stand still. A system that knows no turns lets everybody begin at once.
  Turn(const std::atomic<bool>& stop, std::chrono::milliseconds most);
  // The next one's turn.
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  bool held() const { return held_; }
  // It was another process's turn until the end.
  bool taken() const { return taken_; }

 private:
  int fd_;
  bool held_ = false;
  bool taken_ = false;
};

}  // namespace baton::os
