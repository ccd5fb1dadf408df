#include "os/waiter.h"

#include <thread>

namespace baton::os {

namespace {

// What a wake-up is late by, mostly.
constexpr std::chrono::microseconds kSpin{100};

}  // namespace

void SystemWaiter::SleepUntil(TimePoint when) {
  if (when > Now()) std::this_thread::sleep_until(when);
}

void SystemWaiter::ReachExactly(TimePoint when) {
  if (const TimePoint now = Now(); now > when) overrun_s_.fetch_add(SecondsBetween(when, now));
  SleepUntil(when - kSpin);
  while (Now() < when) std::this_thread::yield();
}

}  // namespace baton::os
