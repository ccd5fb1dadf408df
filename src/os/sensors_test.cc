// What is read from a folder made like /sys; the files are as Linux has them.
#include "os/sensors.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "os/system.h"

namespace baton::os {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class SensorsTest : public testing::Test {
 protected:
  SensorsTest()
      : root_(std::filesystem::temp_directory_path() /
              fmt::format("baton-sensors-{:016x}", RandomU64())) {
    std::filesystem::create_directories(root_);
  }
  ~SensorsTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text << '\n';
  }
  Sensors Make() { return Sensors(clock_, root_, "no-such-library.so"); }

  const std::filesystem::path root_;
  FakeClock clock_;
};

TEST_F(SensorsTest, AMachineWithoutSensorsSaysNothing) {
  EXPECT_THAT(Make().Read(), IsEmpty());
  EXPECT_THAT(Sensors(clock_, "/no/such/folder").Read(), IsEmpty());
}

TEST_F(SensorsTest, TheProcessorsHottestPlaceAndFastestCore) {
  Write("class/hwmon/hwmon0/name", "nvme");
  Write("class/hwmon/hwmon0/temp1_input", "90000");
  Write("class/hwmon/hwmon1/name", "coretemp");
  Write("class/hwmon/hwmon1/temp1_input", "51000");
  Write("class/hwmon/hwmon1/temp12_input", "63500");
  Write("class/hwmon/hwmon1/temp1_max", "100000");
  Write("devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "3800000");
  Write("devices/system/cpu/cpufreq/policy12/scaling_cur_freq", "4200000");
  Write("devices/system/cpu/cpufreq/boost", "1");
  const auto readings = Make().Read();
  ASSERT_EQ(readings.size(), 1);
  EXPECT_EQ(readings[0].device, "cpu");
  EXPECT_THAT(readings[0].temperature_c, Optional(DoubleEq(63.5)));
  EXPECT_THAT(readings[0].clock_mhz, Optional(DoubleEq(4200)));
  EXPECT_EQ(readings[0].power_w, std::nullopt);
  EXPECT_EQ(readings[0].throttled, std::nullopt);
}

TEST_F(SensorsTest, AThermalZoneWhereNoChipSpeaks) {
  Write("class/thermal/thermal_zone0/type", "gpu-thermal");
  Write("class/thermal/thermal_zone0/temp", "80000");
  Write("class/thermal/thermal_zone1/type", "cpu0-thermal");
  Write("class/thermal/thermal_zone1/temp", "47000");
  EXPECT_THAT(Make().Read().at(0).temperature_c, Optional(DoubleEq(47)));
}

TEST_F(SensorsTest, EnergyBecomesPowerBetweenReadings) {
  const auto energy = [&](int package, double microjoules) {
    Write(fmt::format("class/powercap/intel-rapl:{}/energy_uj", package),
          fmt::format("{:.0f}", microjoules));
  };
  for (const int package : {0, 1}) {
    Write(fmt::format("class/powercap/intel-rapl:{}/name", package),
          fmt::format("package-{}", package));
    Write(fmt::format("class/powercap/intel-rapl:{}/max_energy_range_uj", package), "1000000000");
  }
  Write("class/powercap/intel-rapl:0:0/name", "package-0-core");
  Write("class/powercap/intel-rapl:0:0/energy_uj", "1");
  energy(0, 5e6);
  energy(1, 995e6);
  Sensors sensors = Make();
  EXPECT_THAT(sensors.Read(), IsEmpty());
  clock_.Advance(std::chrono::seconds(2));
  energy(0, 45e6);  // 40 J
  energy(1, 15e6);  // 20 J, begun anew on the way
  EXPECT_THAT(sensors.Read().at(0).power_w, Optional(DoubleEq(30)));
  EXPECT_THAT(sensors.Read(), IsEmpty());  // at the same moment
}

TEST_F(SensorsTest, ThrottledIfItHappenedSinceTheLastReading) {
  const auto count = [&](const char* text) {
    Write("devices/system/cpu/cpu3/thermal_throttle/core_throttle_count", text);
  };
  count("7");
  Sensors sensors = Make();
  EXPECT_THAT(sensors.Read().at(0).throttled, Optional(false));
  clock_.Advance(std::chrono::seconds(5));
  count("8");
  EXPECT_THAT(sensors.Read().at(0).throttled, Optional(true));
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_THAT(sensors.Read().at(0).throttled, Optional(false));
}

TEST_F(SensorsTest, GraphicsCards) {
  Write("class/drm/card1/device/uevent", "PCI_CLASS=30000\nDRIVER=amdgpu\nPCI_ID=1002:744C");
  Write("class/drm/card1/device/mem_info_vram_used", "1500000000");
  Write("class/drm/card1/device/mem_info_vram_total", "24000000000");
  Write("class/drm/card1/device/hwmon/hwmon4/temp1_input", "55000");
  Write("class/drm/card1/device/hwmon/hwmon4/temp2_input", "71000");
  Write("class/drm/card1/device/hwmon/hwmon4/power1_average", "212000000");
  Write("class/drm/card1/device/hwmon/hwmon4/freq1_input", "2400000000");
  Write("class/drm/card1-DP-1/status", "connected");
  Write("class/drm/card2/device/uevent", "DRIVER=i915");
  Write("class/drm/card2/gt_act_freq_mhz", "1300");
  Write("class/drm/card2/gt/gt0/throttle_reason_status", "1");
  const auto readings = Make().Read();
  ASSERT_EQ(readings.size(), 2);
  EXPECT_EQ(readings[0], (SensorReading{.device = "amdgpu card1",
                                        .temperature_c = 71,
                                        .power_w = 212,
                                        .clock_mhz = 2400,
                                        .memory_used_bytes = 1'500'000'000,
                                        .memory_total_bytes = 24'000'000'000}));
  EXPECT_EQ(readings[1],
            (SensorReading{.device = "i915 card2", .clock_mhz = 1300, .throttled = true}));
}

TEST_F(SensorsTest, RubbishIsNothing) {
  Write("class/hwmon/hwmon0/name", "k10temp");
  Write("class/hwmon/hwmon0/temp1_input", "hot");
  Write("class/hwmon/hwmon0/tempX_input", "50000");
  Write("devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "<unknown>");
  Write("class/drm/card0/device/mem_info_vram_total", "-5");
  EXPECT_THAT(Make().Read(), IsEmpty());
}

TEST(Describe, WhatIsKnown) {
  EXPECT_EQ(Describe({.device = "cpu"}), "");
  EXPECT_EQ(Describe({.device = "cpu",
                      .temperature_c = 70.6,
                      .power_w = 35,
                      .clock_mhz = 4810,
                      .throttled = true}),
            "71 C, 35 W, 4.8 GHz, throttled");
  EXPECT_EQ(Describe({.device = "x",
                      .memory_used_bytes = 10'000'000'000,
                      .memory_total_bytes = 24'000'000'000}),
            "10.0 of 24.0 GB");
}

}  // namespace
}  // namespace baton::os
