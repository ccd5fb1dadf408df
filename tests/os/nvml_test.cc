#include "os/nvml.h"

#include <gmock/gmock.h>

namespace baton::os {
namespace {

TEST(Nvml, ReadsWhatEachGpuKnows) {
  const auto nvml = Nvml::Open(BATON_FAKE_NVML);
  ASSERT_NE(nvml, nullptr);
  EXPECT_THAT(nvml->Read(),
              testing::ElementsAre(SensorReading{.device = "NVIDIA GeForce RTX 4090",
                                                 .temperature_c = 71,
                                                 .power_w = 350.5,
                                                 .clock_mhz = 2520,
                                                 .throttled = true,
                                                 .memory_used_bytes = 10'000'000'000,
                                                 .memory_total_bytes = 24'000'000'000},
                                   SensorReading{.device = "NVIDIA GB10",
                                                 .temperature_c = 60,
                                                 .clock_mhz = 2400,
                                                 .throttled = false}));
}

TEST(Nvml, WithoutTheLibraryThereIsNone) {
  EXPECT_EQ(Nvml::Open("no-such-library.so"), nullptr);
  EXPECT_EQ(Nvml::Open("libm.so.6"), nullptr);  // there, and not it
}

TEST(Nvml, SensorsHaveItsDevices) {
  const SystemClock clock;
  Sensors sensors(clock, "/no/such/folder", BATON_FAKE_NVML);
  EXPECT_EQ(sensors.Read().size(), 2);
}

}  // namespace
}  // namespace baton::os
