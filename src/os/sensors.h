// What the machine's own sensors say of its processors: temperature, power, clock, throttling and
// the memory that is theirs. Linux: hwmon, powercap, cpufreq and DRM under /sys; GPUs of NVIDIA by
// their library (nvml.h). A machine without sensors, as virtual ones mostly are, says nothing: that
// is no error, and what one sensor does not say is left out.
//
// One thread at a time. Some sensors sit behind slow buses: Read() may take some ten milliseconds.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/clock.h"

namespace baton::os {

class Nvml;

struct SensorReading {
  std::string device;                   // "cpu", "amdgpu card0", "NVIDIA GB10"
  std::optional<double> temperature_c;  // where it is hottest
  std::optional<double> power_w;        // on average since the last reading, or at this moment
  std::optional<double> clock_mhz;      // of its fastest core
  std::optional<bool> throttled;        // slower than it could be, by heat or power, since then
  std::optional<uint64_t> memory_used_bytes;
  std::optional<uint64_t> memory_total_bytes;

  bool operator==(const SensorReading&) const = default;
  bool empty() const { return *this == SensorReading{.device = device}; }
};

class Sensors {
 public:
  // `clock` must outlive it. `sys`: where sysfs is; `nvml`: what dlopen() is asked for.
  explicit Sensors(const Clock& clock, std::string sys = "/sys",
                   const std::string& nvml = "libnvidia-ml.so.1");
  ~Sensors();

  // Devices that say something, the processor first. Power counted as energy is known from the
  // second reading on.
  std::vector<SensorReading> Read();

 private:
  // A counter that only grows, but for where it begins anew.
  struct Counter {
    double value = 0;
    TimePoint at;
  };

  SensorReading ReadProcessor();
  void ReadDrm(std::vector<SensorReading>& readings);
  SensorReading ReadCard(const std::string& card, const std::string& driver) const;
  std::optional<double> PackagePower();
  std::optional<double> ProcessorTemperature() const;
  std::optional<bool> ProcessorThrottled();
  // Units per second since the last call with this name; `wrap`: where it begins anew, 0: nowhere.
  std::optional<double> RateOf(const std::string& name, double value, double wrap);

  const Clock& clock_;
  const std::string sys_;
  std::unique_ptr<Nvml> nvml_;  // null where there is none
  std::map<std::string, Counter> counters_;
};

// "71 C, 35 W, 4.8 GHz, throttled, 10.0 of 24.0 GB"; what is not known is left out.
std::string Describe(const SensorReading& reading);

}  // namespace baton::os
