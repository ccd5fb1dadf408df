#include "node/memory_watch.h"

#include <algorithm>
#include <future>
#include <thread>
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

TEST(SharedReadingNews, WhoMissesOneChangesNothing) {
  SharedReadingNews news;
  EXPECT_FALSE(news.ForgetAll());
  EXPECT_EQ(news.Add(20e9), 20e9) << "the first is news";
  EXPECT_EQ(news.Add(40e9), std::nullopt) << "the other one was not there";
  EXPECT_EQ(news.Add(21e9), std::nullopt);
  EXPECT_EQ(news.Add(39e9), 39e9) << "two of three: memory is quicker";
  EXPECT_TRUE(news.is_full());
  news.Forget();
  EXPECT_FALSE(news.is_full());
  EXPECT_EQ(news.Add(13e9), 13e9) << "there is one more: what was before says nothing";
  EXPECT_TRUE(news.ForgetAll());
  EXPECT_FALSE(news.ForgetAll());
}

// Two nodes of one machine that know nothing of each other but that they are there.
TEST(MemoryWatch, NodesOfOneMachineReadAtTheSameTime) {
  constexpr std::chrono::milliseconds kInterval(50);
  const os::SystemClock clock;
  struct Node {
    os::Pause pause;
    std::vector<os::TimePoint> begun;
    std::vector<double> told;
    int company = 1;
  };
  const auto watch = [&](Node& node) {
    SharedReading shared{.company = [&] { return node.company; },
                         .read = [&](os::TimePoint begin, os::TimePoint end) -> Result<double> {
                           EXPECT_EQ(end - begin, std::chrono::milliseconds(4));
                           node.begun.push_back(begin);
                           std::this_thread::sleep_until(end);
                           if (node.begun.size() == 3) node.company = 0;
                           return 20e9;
                         },
                         .on_change =
                             [&](double rate) {
                               node.told.push_back(rate);
                               if (rate == 0) node.pause.End();
                             },
                         .interval = kInterval,
                         .duration = std::chrono::milliseconds(4),
                         .before = std::chrono::milliseconds(10)};
    WatchMemory({.bytes_per_s = 40e9,
                 .read = [] { return 40e9; },
                 .on_change = [](double) {},
                 .shared = std::move(shared),
                 .interval = std::chrono::milliseconds(20),
                 .retry = std::chrono::milliseconds(20),
                 .rest = std::chrono::milliseconds(1),
                 .busy_seconds = [] { return 0.0; }},
                clock, node.pause);
  };
  Node a, b;
  auto other = std::async(std::launch::async, [&] { watch(b); });
  watch(a);
  other.get();
  for (const Node* node : {&a, &b}) {
    EXPECT_THAT(node->told, ElementsAre(20e9, 0));
    ASSERT_EQ(node->begun.size(), 3U);
    for (const os::TimePoint begin : node->begun)
      EXPECT_EQ(begin.time_since_epoch() % os::Duration(kInterval), os::Duration(0));
    EXPECT_TRUE(std::is_sorted(node->begun.begin(), node->begun.end()));
    EXPECT_EQ(std::adjacent_find(node->begun.begin(), node->begun.end()), node->begun.end());
  }
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
