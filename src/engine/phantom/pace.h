// Pace: steps that pretend to take time. What a step really took counts against what it should
// take, and where one ended late the next begins as if it had not, so that errors do not add up.
#pragma once

#include "os/waiter.h"

namespace baton::engine {

class Pace {
 public:
  explicit Pace(os::Waiter& waiter) : waiter_(waiter) {}

  void Begin();
  // The step stood still for so long, on behalf of others.
  void Pause(os::Duration time) { began_ += time; }
  // Until about `seconds` after the step's beginning, pauses aside.
  void Reach(double seconds);
  // Exactly then; the step is over.
  void End(double seconds);

 private:
  os::TimePoint After(double seconds) const;

  os::Waiter& waiter_;
  os::TimePoint began_{};
  os::Duration late_{};  // that the step before this one ended
};

}  // namespace baton::engine
