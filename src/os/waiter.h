// Waiting as a seam, beside Clock: what pretends to take time takes it here, so that a test can own
// it.
#pragma once

#include <atomic>

#include "os/clock.h"

namespace baton::os {

class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual TimePoint Now() const = 0;
  // Sleeps until `when`, or as much longer as the system takes to wake a thread.
  virtual void SleepUntil(TimePoint when) = 0;
  // Returns at `when` as exactly as can be: spins at the end.
  virtual void ReachExactly(TimePoint when) = 0;
};

// Any thread.
class SystemWaiter final : public Waiter {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  void SleepUntil(TimePoint when) override;
  void ReachExactly(TimePoint when) override;

  // By how much all calls of ReachExactly() came too late: work that took longer than it should.
  double overrun_seconds() const { return overrun_s_; }

 private:
  std::atomic<double> overrun_s_{0};
};

// Time that passes only where somebody waits.
class FakeWaiter final : public Waiter {
 public:
  explicit FakeWaiter(FakeClock& clock) : clock_(clock) {}
  TimePoint Now() const override { return clock_.Now(); }
  void SleepUntil(TimePoint when) override {
    if (when > Now()) clock_.Advance(when - Now());
  }
  void ReachExactly(TimePoint when) override { SleepUntil(when); }

 private:
  FakeClock& clock_;
};

}  // namespace baton::os
