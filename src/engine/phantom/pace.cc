#include "engine/phantom/pace.h"

#include <algorithm>

namespace baton::engine {
namespace {

// Sleeping for less is not worth a wake-up.
constexpr std::chrono::milliseconds kNapMin{1};
// What a busy system wakes a thread up late by. More than that is a machine that cannot keep up,
// and must show.
constexpr std::chrono::milliseconds kLateMost{3};

}  // namespace

os::TimePoint Pace::After(double seconds) const {
  return began_ + std::chrono::duration_cast<os::Duration>(std::chrono::duration<double>(seconds));
}

void Pace::Begin() {
  began_ = waiter_.Now() - late_;
  late_ = {};
}

void Pace::Reach(double seconds) {
  const os::TimePoint when = After(seconds);
  if (when - waiter_.Now() > kNapMin) waiter_.SleepUntil(when);
}

void Pace::End(double seconds) {
  const os::TimePoint when = After(seconds);
  waiter_.ReachExactly(when);
  late_ = std::clamp<os::Duration>(waiter_.Now() - when, os::Duration{}, kLateMost);
}

}  // namespace baton::engine
