// How fast memory is now. What a node decodes with is what the other guests of a rented machine
// leave of the memory's bandwidth, and how a laptop clocks it: half of it a minute later is nothing
// unusual. So the node reads some memory now and then, while its machine rests, and tells what has
// become of the rates that it measured.
//
// Where several nodes are on one machine, memory may be what they share: at the same moments, which
// the machine's clock tells all of them, all read at once, and each tells what it got.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/pause.h"
#include "os/system.h"

namespace baton::node {

// What a series of readings says. Pure.
class ReadingNews {
 public:
  // Smaller changes are not worth a message to everybody.
  static constexpr double kNews = 0.1;
  // Who reads at the same moment makes a reading slow, nothing makes it fast: of so many the best
  // counts.
  static constexpr size_t kCounted = 3;

  // `bytes_per_s` is what is told so far.
  explicit ReadingNews(double bytes_per_s) : told_(bytes_per_s) { last_.fill(bytes_per_s); }
  // The rate that holds after this reading, if it is news.
  std::optional<double> Add(double bytes_per_s);

 private:
  std::array<double, kCounted> last_;
  size_t next_ = 0;
  double told_;
};

// What readings beside others say: the median of the last ones, since some of the others may have
// missed one, and what they got then is no rate of all. Pure.
class SharedReadingNews {
 public:
  // The rate that holds after this reading, if it is news.
  std::optional<double> Add(double bytes_per_s);
  // Others are there than before: the next one is news.
  void Forget();
  // There is nobody to read beside. True if that is news.
  bool ForgetAll();
  // Are there as many as count?
  bool is_full() const { return last_.size() == ReadingNews::kCounted; }

 private:
  std::vector<double> last_;  // at most ReadingNews::kCounted
  size_t next_ = 0;
  double told_ = 0;
};

// Reading beside other nodes of this machine.
struct SharedReading {
  std::function<int()> company;  // how many others there are
  std::function<Result<double>(os::TimePoint begin, os::TimePoint end)> read;  // bytes per second
  std::function<void(double bytes_per_s)> on_change;                           // 0: nobody is there
  // At whole multiples of this since the machine started, or of some times this once there are as
  // many readings as count, for so long; before that comes the time to take memory in.
  std::chrono::milliseconds interval{10'000};
  int seldom = 3;
  std::chrono::milliseconds duration{40};
  std::chrono::milliseconds before{1'000};
};

struct MemoryWatchOptions {
  double bytes_per_s = 0;                // when the rates were measured
  bool just_measured = false;            // nothing has changed yet
  std::function<Result<double>()> read;  // bytes per second, now
  std::function<void(double bytes_per_s)> on_change;
  std::optional<SharedReading> shared;

  // Between two readings, if these cost no more than half a hundredth of the time; and until it is
  // tried again where something of this machine was at work, or when there are only a few so far.
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds retry{1'000};
  // The machine has rested for so long before; what takes less of one processor is nobody's work.
  std::chrono::milliseconds rest{300};
  double rest_busy_s = 0.1;
  std::function<double()> busy_seconds = os::MachineBusySeconds;
};

// On the thread that calls, until `pause` is ended.
void WatchMemory(const MemoryWatchOptions& options, const os::Clock& clock, os::Pause& pause);

}  // namespace baton::node
