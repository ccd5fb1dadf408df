#include "os/turn.h"

#include <future>
#include <optional>

#include <gtest/gtest.h>

namespace baton::os {
namespace {

using std::chrono::milliseconds;

TEST(Turn, OneAfterTheOther) {
  const std::atomic<bool> stop{false};
  std::optional<Turn> first(std::in_place, stop, milliseconds(0));
  ASSERT_FALSE(first->held()) << "who does not wait at all gets no turn";
  first.emplace(stop, milliseconds(1000));
  ASSERT_TRUE(first->held());
  EXPECT_FALSE(first->taken());
  const Turn without(stop, milliseconds(40));
  EXPECT_FALSE(without.held()) << "and goes on without one";
  EXPECT_TRUE(without.taken());
  auto second =
      std::async(std::launch::async, [&] { return Turn(stop, milliseconds(60000)).held(); });
  EXPECT_EQ(second.wait_for(milliseconds(100)), std::future_status::timeout);
  first.reset();
  EXPECT_TRUE(second.get());
}

TEST(Turn, NobodyWaitsWhoIsToStop) {
  std::atomic<bool> stop{false};
  const Turn first(stop, milliseconds(1000));
  auto second =
      std::async(std::launch::async, [&] { return Turn(stop, milliseconds(60000)).held(); });
  stop = true;
  EXPECT_FALSE(second.get());
}

}  // namespace
}  // namespace baton::os
