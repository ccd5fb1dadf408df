#include "node/memory_watch.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "os/turn.h"

namespace baton::node {
namespace {

constexpr int kTimesReading = 200;
// Nobody's memory is taken for it.
constexpr uint64_t kSpareBytes = uint64_t{2} << 30;
// What is further off is not believed.
constexpr double kTimesMost = 5;

// Does something of this machine compute or measure?
bool IsAtRest(const MemoryWatchOptions& options, os::Pause& pause) {
  const double before_s = options.busy_seconds();
  if (!pause.For(options.rest)) return false;
  if (options.busy_seconds() - before_s > options.rest_busy_s) return false;
  return os::SystemMemory().available_bytes >= kSpareBytes;
}

std::optional<double> ReadAtRest(const MemoryWatchOptions& options, os::Pause& pause) {
  if (!IsAtRest(options, pause)) return std::nullopt;
  const std::atomic<bool> stop{false};
  const os::Turn turn(stop, std::chrono::milliseconds(1));
  if (turn.taken()) return std::nullopt;
  const Result<double> rate = options.read();
  return rate.ok() && *rate > 0 ? std::optional(*rate) : std::nullopt;
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

// When all nodes of this machine read at once.
class Appointments {
 public:
  Appointments(const SharedReading& shared, const MemoryWatchOptions& options,
               const os::Clock& clock)
      : shared_(shared), options_(options), clock_(clock) {}

  // Until preparations for the next one begin.
  std::chrono::milliseconds Left() const {
    const auto preparing = shared_.before + options_.rest;
    return std::chrono::ceil<std::chrono::milliseconds>(Next() - preparing - clock_.Now());
  }
  void Keep(os::Pause& pause) {
    const os::TimePoint begin = Next();
    kept_ = begin;
    const int company = shared_.company();
    if (company == 0 && news_.ForgetAll()) shared_.on_change(0);
    if (std::exchange(company_, company) != company) news_.Forget();
    if (company == 0) return;
    if (!IsAtRest(options_, pause)) return;
    const Result<double> rate = shared_.read(begin, begin + shared_.duration);
    const auto now = rate.ok() && *rate > 0 ? news_.Add(*rate) : std::nullopt;
    if (now) shared_.on_change(*now);
  }

 private:
  // Of those that have not been kept, the first for which there is time.
  os::TimePoint Next() const {
    const auto earliest = std::max(clock_.Now() + shared_.before / 2, kept_ + os::Duration(1));
    const os::Duration interval = shared_.interval * (news_.is_full() ? shared_.seldom : 1);
    return os::TimePoint((earliest.time_since_epoch() + interval - os::Duration(1)) / interval *
                         interval);
  }

  const SharedReading& shared_;
  const MemoryWatchOptions& options_;
  const os::Clock& clock_;
  os::TimePoint kept_{};
  int company_ = 0;
  SharedReadingNews news_;
};

}  // namespace

std::optional<double> ReadingNews::Add(double bytes_per_s) {
  last_[next_] = bytes_per_s;
  next_ = (next_ + 1) % kCounted;
  const double now = *std::max_element(last_.begin(), last_.end());
  if (std::abs(now / told_ - 1) <= kNews) return std::nullopt;
  return told_ = now;
}

std::optional<double> SharedReadingNews::Add(double bytes_per_s) {
  if (last_.size() < ReadingNews::kCounted)
    last_.push_back(bytes_per_s);
  else
    last_[next_] = bytes_per_s;
  next_ = (next_ + 1) % ReadingNews::kCounted;
  const double now = MedianOf(last_);
  if (told_ > 0 && std::abs(now / told_ - 1) <= ReadingNews::kNews) return std::nullopt;
  return told_ = now;
}

void SharedReadingNews::Forget() {
  last_.clear();
  next_ = 0;
}

bool SharedReadingNews::ForgetAll() {
  Forget();
  return std::exchange(told_, 0) > 0;
}

void WatchMemory(const MemoryWatchOptions& options, const os::Clock& clock, os::Pause& pause) {
  using std::chrono::milliseconds;
  if (!(options.bytes_per_s > 0)) return;
  ReadingNews news(options.bytes_per_s);
  std::optional<Appointments> appointments;
  if (options.shared) appointments.emplace(*options.shared, options, clock);
  const auto until_appointment = [&] {
    return appointments ? std::max(milliseconds(0), appointments->Left()) : milliseconds::max();
  };
  os::TimePoint next = clock.Now() + (options.just_measured ? options.interval : milliseconds(0));
  size_t readings = 0;
  while (true) {
    const auto wait =
        std::max(milliseconds(0), std::chrono::ceil<milliseconds>(next - clock.Now()));
    // A reading of its own would be in the way of those that others prepare.
    if (until_appointment() < wait + options.rest) {
      if (!pause.For(until_appointment())) return;
      appointments->Keep(pause);
      continue;
    }
    if (!pause.For(wait)) return;
    const auto begin = clock.Now();
    const auto rate = ReadAtRest(options, pause);
    const auto taken = std::chrono::duration_cast<milliseconds>(clock.Now() - begin) - options.rest;
    readings += rate ? 1 : 0;
    next = clock.Now() + (rate && readings >= ReadingNews::kCounted
                              ? std::max(options.interval, kTimesReading * taken)
                              : options.retry);
    const auto now = rate ? news.Add(*rate) : std::nullopt;
    if (!now) continue;
    options.on_change(
        std::clamp(*now, options.bytes_per_s / kTimesMost, options.bytes_per_s * kTimesMost));
  }
}

}  // namespace baton::node
