#include "node/sensor_watch.h"

#include <cmath>
#include <optional>

#include "os/system.h"

namespace baton::node {
namespace {

constexpr std::chrono::seconds kInterval(5);

void RoundTo(std::optional<double>& value, double unit) {
  if (value) value = std::round(*value / unit) * unit;
}

}  // namespace

os::SensorReading Rounded(os::SensorReading reading) {
  RoundTo(reading.temperature_c, 1);
  RoundTo(reading.power_w, 1);
  RoundTo(reading.clock_mhz, 100);
  if (reading.memory_used_bytes && reading.memory_total_bytes) {
    const uint64_t unit = std::max<uint64_t>(1, *reading.memory_total_bytes / 100);
    reading.memory_used_bytes = *reading.memory_used_bytes / unit * unit;
  }
  return reading;
}

SensorWatch::SensorWatch(const os::Clock& clock, OnChange on_change)
    : thread_([this, &clock, on_change = std::move(on_change)] {
        os::NameThisThread("sensors");
        Watch(clock, on_change);
      }) {}

SensorWatch::~SensorWatch() {
  pause_.End();
  thread_.join();
}

void SensorWatch::Watch(const os::Clock& clock, const OnChange& on_change) {
  os::Sensors sensors(clock);
  std::vector<os::SensorReading> told;
  // Energy becomes power with the second reading only: a machine has no sensors if that is empty.
  for (int reading = 0; reading < 2 || !told.empty(); ++reading) {
    std::vector<os::SensorReading> now = sensors.Read();
    for (os::SensorReading& device : now) device = Rounded(std::move(device));
    if (now != told) {
      told = now;
      on_change(std::move(now));
    }
    if (!pause_.For(kInterval)) return;
  }
}

}  // namespace baton::node
