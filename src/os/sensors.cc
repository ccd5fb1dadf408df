#include "os/sensors.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "os/file.h"
#include "os/nvml.h"

namespace baton::os {
namespace {

// The first line of an attribute, empty if it cannot be read.
std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  line.erase(line.find_last_not_of(" \t") + 1);
  return line;
}

std::optional<double> NumberOf(const std::string& path) {
  const std::string text = TextOf(path);
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> InUnits(std::optional<double> value, double unit) {
  return value ? std::optional(*value / unit) : std::nullopt;
}

std::optional<double> Larger(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::max(*a, *b);
}

bool IsNumber(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "cpu12" is "cpu" and a number, "cpufreq" is not.
bool IsNumbered(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) && IsNumber(name.substr(prefix.size()));
}

// Names of a folder's entries, in order; none if there is no such folder.
std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  const auto entries = ListDirectory(folder);
  if (!entries.ok()) return names;
  for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  return names;
}

// The largest of a chip's inputs of one kind: "temp" and "_input" for temp1_input, temp2_input...
std::optional<double> LargestInput(const std::string& chip, std::string_view kind,
                                   std::string_view ending) {
  std::optional<double> largest;
  for (const std::string& name : NamesIn(chip)) {
    if (!name.starts_with(kind) || !name.ends_with(ending)) continue;
    const size_t length = name.size() - kind.size() - ending.size();
    if (IsNumber(std::string_view(name).substr(kind.size(), length)))
      largest = Larger(largest, NumberOf(chip + "/" + name));
  }
  return largest;
}

// What drivers of processors call their chips in hwmon, and kernels their thermal zones.
bool IsProcessorChip(std::string_view name) {
  constexpr std::string_view kChips[] = {"coretemp",    "k10temp",     "k8temp",
                                         "zenpower",    "cpu_thermal", "via_cputemp",
                                         "soc_thermal", "scpi_sensors"};
  return std::find(std::begin(kChips), std::end(kChips), name) != std::end(kChips);
}
bool IsProcessorZone(std::string_view type) {
  return type == "x86_pkg_temp" || type.find("cpu") != std::string_view::npos ||
         type.find("soc") != std::string_view::npos;
}

// DRIVER of a device's uevent file.
std::string DriverOf(const std::string& device) {
  std::ifstream file(device + "/uevent");
  constexpr std::string_view kKey = "DRIVER=";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kKey)) return line.substr(kKey.size());
  }
  return "";
}

std::optional<uint64_t> BytesIn(const std::string& path) {
  const auto number = NumberOf(path);
  return number && *number >= 0 ? std::optional(static_cast<uint64_t>(*number)) : std::nullopt;
}

}  // namespace

Sensors::Sensors(const Clock& clock, std::string sys, const std::string& nvml)
    : clock_(clock), sys_(std::move(sys)), nvml_(Nvml::Open(nvml)) {}

Sensors::~Sensors() = default;

std::vector<SensorReading> Sensors::Read() {
  std::vector<SensorReading> readings = {ReadProcessor()};
  ReadDrm(readings);
  if (nvml_ != nullptr) {
    for (SensorReading& reading : nvml_->Read()) readings.push_back(std::move(reading));
  }
  std::erase_if(readings, [](const SensorReading& reading) { return reading.empty(); });
  return readings;
}

std::optional<double> Sensors::RateOf(const std::string& name, double value, double wrap) {
  const Counter now{value, clock_.Now()};
  const auto [at, first] = counters_.try_emplace(name, now);
  const Counter before = std::exchange(at->second, now);
  const double seconds = SecondsBetween(before.at, now.at);
  if (first || seconds <= 0) return std::nullopt;
  const double grown = value - before.value + (value < before.value ? wrap : 0);
  return grown < 0 ? std::nullopt : std::optional(grown / seconds);
}

// ---- the processor ----

SensorReading Sensors::ReadProcessor() {
  SensorReading reading{.device = "cpu"};
  reading.temperature_c = ProcessorTemperature();
  reading.power_w = PackagePower();
  reading.throttled = ProcessorThrottled();
  const std::string policies = sys_ + "/devices/system/cpu/cpufreq";
  for (const std::string& policy : NamesIn(policies)) {
    if (!IsNumbered(policy, "policy")) continue;
    const auto khz = NumberOf(policies + "/" + policy + "/scaling_cur_freq");
    reading.clock_mhz = Larger(reading.clock_mhz, InUnits(khz, 1e3));
  }
  return reading;
}

std::optional<double> Sensors::ProcessorTemperature() const {
  std::optional<double> hottest;
  const std::string chips = sys_ + "/class/hwmon";
  for (const std::string& chip : NamesIn(chips)) {
    if (IsProcessorChip(TextOf(chips + "/" + chip + "/name")))
      hottest = Larger(hottest, LargestInput(chips + "/" + chip, "temp", "_input"));
  }
  if (hottest) return InUnits(hottest, 1e3);
  const std::string zones = sys_ + "/class/thermal";
  for (const std::string& zone : NamesIn(zones)) {
    if (IsNumbered(zone, "thermal_zone") && IsProcessorZone(TextOf(zones + "/" + zone + "/type")))
      hottest = Larger(hottest, NumberOf(zones + "/" + zone + "/temp"));
  }
  return InUnits(hottest, 1e3);
}

// All packages together; their parts, "intel-rapl:0:1", are in them.
std::optional<double> Sensors::PackagePower() {
  std::optional<double> watts;
  const std::string zones = sys_ + "/class/powercap";
  for (const std::string& zone : NamesIn(zones)) {
    if (!IsNumbered(zone, "intel-rapl:") ||
        !TextOf(zones + "/" + zone + "/name").starts_with("package"))
      continue;
    const auto microjoules = NumberOf(zones + "/" + zone + "/energy_uj");
    if (!microjoules) continue;
    const double wrap = NumberOf(zones + "/" + zone + "/max_energy_range_uj").value_or(0);
    const auto rate = InUnits(RateOf(zone, *microjoules, wrap), 1e6);
    if (rate) watts = watts.value_or(0) + *rate;
  }
  return watts;
}

std::optional<bool> Sensors::ProcessorThrottled() {
  std::optional<double> events;
  const std::string processors = sys_ + "/devices/system/cpu";
  for (const std::string& processor : NamesIn(processors)) {
    if (!IsNumbered(processor, "cpu")) continue;
    for (const char* count : {"core_throttle_count", "package_throttle_count"}) {
      const auto number = NumberOf(processors + "/" + processor + "/thermal_throttle/" + count);
      if (number) events = events.value_or(0) + *number;
    }
  }
  if (!events) return std::nullopt;
  return RateOf("throttling", *events, 0).value_or(0) > 0;
}

// ---- graphics ----

void Sensors::ReadDrm(std::vector<SensorReading>& readings) {
  const std::string cards = sys_ + "/class/drm";
  for (const std::string& card : NamesIn(cards)) {
    if (!IsNumbered(card, "card")) continue;
    const std::string driver = DriverOf(cards + "/" + card + "/device");
    // NVML says more of those.
    if (driver == "nvidia" && nvml_ != nullptr) continue;
    readings.push_back(ReadCard(card, driver));
  }
}

SensorReading Sensors::ReadCard(const std::string& card, const std::string& driver) const {
  const std::string at = sys_ + "/class/drm/" + card;
  SensorReading reading{.device = driver.empty() ? card : driver + " " + card};
  const std::string chips = at + "/device/hwmon";
  for (const std::string& name : NamesIn(chips)) {
    const std::string chip = chips + "/" + name;
    reading.temperature_c =
        Larger(reading.temperature_c, InUnits(LargestInput(chip, "temp", "_input"), 1e3));
    auto microwatts = LargestInput(chip, "power", "_average");
    if (!microwatts) microwatts = LargestInput(chip, "power", "_input");
    reading.power_w = Larger(reading.power_w, InUnits(microwatts, 1e6));
    reading.clock_mhz =
        Larger(reading.clock_mhz, InUnits(LargestInput(chip, "freq", "_input"), 1e6));
  }
  if (!reading.clock_mhz) reading.clock_mhz = NumberOf(at + "/gt_act_freq_mhz");
  if (const auto status = NumberOf(at + "/gt/gt0/throttle_reason_status"))
    reading.throttled = *status != 0;
  reading.memory_used_bytes = BytesIn(at + "/device/mem_info_vram_used");
  reading.memory_total_bytes = BytesIn(at + "/device/mem_info_vram_total");
  return reading;
}

std::string Describe(const SensorReading& reading) {
  std::vector<std::string> words;
  if (reading.temperature_c) words.push_back(fmt::format("{:.0f} C", *reading.temperature_c));
  if (reading.power_w) words.push_back(fmt::format("{:.0f} W", *reading.power_w));
  if (reading.clock_mhz) words.push_back(fmt::format("{:.1f} GHz", *reading.clock_mhz / 1e3));
  if (reading.throttled.value_or(false)) words.emplace_back("throttled");
  if (reading.memory_used_bytes && reading.memory_total_bytes) {
    words.push_back(fmt::format("{:.1f} of {:.1f} GB",
                                static_cast<double>(*reading.memory_used_bytes) / 1e9,
                                static_cast<double>(*reading.memory_total_bytes) / 1e9));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace baton::os
