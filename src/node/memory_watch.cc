#include "node/memory_watch.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "os/turn.h"

namespace baton::node {
namespace {

constexpr int kTimesReading = 200;
// Nobody's memory is taken for it.
constexpr uint64_t kSpareBytes = uint64_t{2} << 30;
// What is further off is not believed.
constexpr double kTimesMost = 5;

// Nothing where something of this machine computes or measures.
std::optional<double> ReadAtRest(const MemoryWatchOptions& options, os::Pause& pause) {
  const double before_s = options.busy_seconds();
  if (!pause.For(options.rest)) return std::nullopt;
  if (options.busy_seconds() - before_s > options.rest_busy_s) return std::nullopt;
  if (os::SystemMemory().available_bytes < kSpareBytes) return std::nullopt;
  const std::atomic<bool> stop{false};
  const os::Turn turn(stop, std::chrono::milliseconds(1));
  if (turn.taken()) return std::nullopt;
  const Result<double> rate = options.read();
  return rate.ok() && *rate > 0 ? std::optional(*rate) : std::nullopt;
}

}  // namespace

std::optional<double> ReadingNews::Add(double bytes_per_s) {
  last_[next_] = bytes_per_s;
  next_ = (next_ + 1) % kCounted;
  const double now = *std::max_element(last_.begin(), last_.end());
  if (std::abs(now / told_ - 1) <= kNews) return std::nullopt;
  return told_ = now;
}

void WatchMemory(const MemoryWatchOptions& options, const os::Clock& clock, os::Pause& pause) {
  using std::chrono::milliseconds;
  if (!(options.bytes_per_s > 0)) return;
  ReadingNews news(options.bytes_per_s);
  milliseconds wait = options.just_measured ? options.interval : milliseconds(0);
  size_t readings = 0;
  while (pause.For(wait)) {
    const auto begin = clock.Now();
    const auto rate = ReadAtRest(options, pause);
    const auto taken = std::chrono::duration_cast<milliseconds>(clock.Now() - begin) - options.rest;
    readings += rate ? 1 : 0;
    wait = rate && readings >= ReadingNews::kCounted
               ? std::max(options.interval, kTimesReading * taken)
               : options.retry;
    const auto now = rate ? news.Add(*rate) : std::nullopt;
    if (!now) continue;
    options.on_change(
        std::clamp(*now, options.bytes_per_s / kTimesMost, options.bytes_per_s * kTimesMost));
  }
}

}  // namespace baton::node
