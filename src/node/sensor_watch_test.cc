#include "node/sensor_watch.h"

#include <gmock/gmock.h>

namespace baton::node {
namespace {

TEST(SensorWatch, SmallChangesAreNoNews) {
  const os::SensorReading reading{.device = "cpu",
                                  .temperature_c = 71.3,
                                  .power_w = 35.6,
                                  .clock_mhz = 4771,
                                  .throttled = true,
                                  .memory_used_bytes = 1'234'567,
                                  .memory_total_bytes = 10'000'000};
  const os::SensorReading expected{.device = "cpu",
                                   .temperature_c = 71,
                                   .power_w = 36,
                                   .clock_mhz = 4800,
                                   .throttled = true,
                                   .memory_used_bytes = 1'200'000,
                                   .memory_total_bytes = 10'000'000};
  EXPECT_EQ(Rounded(reading), expected);
  EXPECT_EQ(Rounded(os::SensorReading{.device = "cpu"}), os::SensorReading{.device = "cpu"});
}

}  // namespace
}  // namespace baton::node
