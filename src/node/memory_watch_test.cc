#include "node/memory_watch.h"

#include <future>
#include <vector>

#include <gmock/gmock.h>

namespace baton::node {
namespace {

using testing::ElementsAre;

TEST(ReadingNews, TheBestOfTheLastCounts) {
  ReadingNews news(80e9);
  EXPECT_EQ(news.Add(79e9), std::nullopt) << "hardly less";
  EXPECT_EQ(news.Add(45e9), std::nullopt) << "somebody read at the same moment";
  EXPECT_EQ(news.Add(47e9), std::nullopt);
  EXPECT_EQ(news.Add(46e9), 47e9) << "three times: it is so";
  EXPECT_EQ(news.Add(78e9), 78e9) << "nothing but memory makes it fast";
}

// Readings as given, after the last of which the watch is ended.
struct Watched {
  std::vector<double> told;
  int tries = 0;
};
Watched Watch(MemoryWatchOptions options, std::vector<Result<double>> readings) {
  Watched watched;
  os::Pause pause;
  const os::SystemClock clock;
  size_t next = 0;
  options.read = [&] {
    ++watched.tries;
    const Result<double> reading = readings[next++];
    if (next == readings.size()) pause.End();
    return reading;
  };
  options.on_change = [&](double bytes_per_s) { watched.told.push_back(bytes_per_s); };
  options.interval = options.retry = options.rest = std::chrono::milliseconds(1);
  if (!options.busy_seconds) options.busy_seconds = [] { return 0.0; };
  WatchMemory(options, clock, pause);
  return watched;
}

TEST(MemoryWatch, TellsWhatHasChanged) {
  const auto watched =
      Watch({.bytes_per_s = 80e9, .busy_seconds = {}}, {78e9, 79e9, 45e9, 45e9, 45e9, 80e9});
  EXPECT_THAT(watched.told, ElementsAre(45e9, 80e9));
}

TEST(MemoryWatch, BelievesNothingBeyondReason) {
  const auto watched = Watch({.bytes_per_s = 80e9, .busy_seconds = {}}, {1e9, 1e9, 1e9, 1e13});
  EXPECT_THAT(watched.told, ElementsAre(16e9, 400e9));
}

TEST(MemoryWatch, GoesOnAfterAFailure) {
  const auto watched =
      Watch({.bytes_per_s = 80e9, .busy_seconds = {}}, {Error(Code::kInternal, "none"), 99e9});
  EXPECT_THAT(watched.told, ElementsAre(99e9));
}

TEST(MemoryWatch, ReadsWhileTheMachineRests) {
  double busy_s = 0;
  int asked = 0;
  // At work until it has been asked often enough.
  const auto busy = [&] { return ++asked < 20 ? busy_s += 0.2 : busy_s; };
  const auto watched = Watch({.bytes_per_s = 80e9, .busy_seconds = busy}, {99e9});
  EXPECT_EQ(watched.tries, 1);
  EXPECT_GE(asked, 20);
  EXPECT_THAT(watched.told, ElementsAre(99e9));
}

// Ended in the middle of a long wait, at once; and where nothing was measured there is no watch.
TEST(MemoryWatch, EndsWhenItIsTold) {
  os::Pause pause;
  const os::SystemClock clock;
  auto ended = std::async(std::launch::async, [&] {
    WatchMemory({.bytes_per_s = 80e9, .just_measured = true}, clock, pause);
  });
  EXPECT_EQ(ended.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  pause.End();
  ended.get();
  os::Pause another;
  WatchMemory({}, clock, another);
}

}  // namespace
}  // namespace baton::node
