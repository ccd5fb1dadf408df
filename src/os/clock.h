// Time as a seam: everything that waits or measures takes a Clock, so that a test can own time.
// Only monotonic time is used for decisions; wall time is for people and certificates.
#pragma once

#include <chrono>
#include <cstdint>

namespace baton::os {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  // Seconds since 1970.
  virtual int64_t WallSeconds() const = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  int64_t WallSeconds() const override {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

class FakeClock final : public Clock {
 public:
  TimePoint Now() const override { return now_; }
  int64_t WallSeconds() const override { return wall_seconds_; }
  void Advance(Duration by) { now_ += by; }
  void SetWallSeconds(int64_t seconds) { wall_seconds_ = seconds; }

 private:
  TimePoint now_{std::chrono::seconds(1)};
  int64_t wall_seconds_ = 1'767'312'000;  // 2 January 2026
};

inline double SecondsBetween(TimePoint begin, TimePoint end) {
  return std::chrono::duration<double>(end - begin).count();
}

}  // namespace baton::os
