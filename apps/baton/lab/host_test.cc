#include "apps/baton/lab/host.h"

#include <gmock/gmock.h>

namespace baton::app {
namespace {

using testing::HasSubstr;

constexpr double kGigabit = 1e9 / 8;

TEST(Host, CarriesSomething) {
  const auto carried = MeasureCarried();
  ASSERT_TRUE(carried.ok()) << carried.error().message();
  EXPECT_GT(*carried, 1e6);
}

TEST(Host, TimeRunsAsFastAsLinksAreCarried) {
  const auto speed_for = [](double port_gbit, double carried_gbit) {
    const LabNeed need{.link_bytes_per_s = port_gbit * kGigabit, .seconds = 1};
    return ChooseSpeed(carried_gbit * kGigabit, need).speed;
  };
  EXPECT_EQ(speed_for(0, 1), 1);
  EXPECT_EQ(speed_for(1, 4), 1);
  EXPECT_EQ(speed_for(10, 20), 1);
  EXPECT_EQ(speed_for(10, 19), 0.5);
  EXPECT_EQ(speed_for(10, 8), 0.25);
  EXPECT_EQ(speed_for(10, 5), 0.25);
  EXPECT_EQ(speed_for(100, 8), 0.025);
  EXPECT_EQ(speed_for(1e6, 8), 0.01);
}

TEST(Host, KvThatStaysOnANodeCountsHalf) {
  const LabNeed need{.link_bytes_per_s = kGigabit, .local_bytes_per_s = 6 * kGigabit, .seconds = 1};
  EXPECT_EQ(ChooseSpeed(6 * kGigabit, need).speed, 1);
  EXPECT_EQ(ChooseSpeed(5 * kGigabit, need).speed, 0.5);
}

TEST(Host, OwnWorkIsKeptSmall) {
  const auto speed_for = [](double own_share) {
    return ChooseSpeed(kGigabit, {.own_share = own_share, .seconds = 1}).speed;
  };
  EXPECT_EQ(speed_for(0.02), 1);
  EXPECT_EQ(speed_for(0.05), 0.25);
}

TEST(Host, NobodyWaitsForHours) {
  const LabNeed need{.link_bytes_per_s = 40 * kGigabit, .seconds = 140};
  const ChosenSpeed chosen = ChooseSpeed(8 * kGigabit, need);
  EXPECT_EQ(chosen.speed, 0.5);
  EXPECT_TRUE(chosen.cut_short);
  EXPECT_THAT(Describe(chosen, 8 * kGigabit, need), HasSubstr("2 times slower than life: slower"));
  EXPECT_EQ(ChooseSpeed(8 * kGigabit, {.link_bytes_per_s = 40 * kGigabit, .seconds = 1e6}).speed, 1)
      << "never faster than life";
}

TEST(Host, TellsWhatItChose) {
  const LabNeed need{.link_bytes_per_s = 9.4 * kGigabit, .seconds = 10};
  EXPECT_EQ(Describe(ChooseSpeed(7 * kGigabit, need), 7 * kGigabit, need),
            "this machine carries about 7.0 Gb/s between two nodes; time runs 4 times slower than "
            "life, so that links of 9.4 Gb/s are what they should be");
}

}  // namespace
}  // namespace baton::app
