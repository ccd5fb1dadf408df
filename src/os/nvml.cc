#include "os/nvml.h"

#include <dlfcn.h>

namespace baton::os {
namespace {

// Names, numbers and layouts: the NVML API Reference (nvml.h of the CUDA toolkit).
constexpr int kSuccess = 0;
constexpr int kTemperatureOfGpu = 0;
constexpr int kClockOfMultiprocessors = 1;
// Reasons for a lower clock that are neither idleness nor somebody's setting: software power cap,
// hardware slowdown, heat by software and by hardware, power brake.
constexpr unsigned long long kThrottling = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

// False if the library lacks it.
template <typename Function>
bool Find(void* library, const char* name, Function*& into) {
  into = reinterpret_cast<Function*>(dlsym(library, name));
  return into != nullptr;
}

}  // namespace

struct Nvml::Functions {
  int (*init)();
  int (*shutdown)();
  int (*count)(unsigned* count);
  int (*by_index)(unsigned index, void** device);
  int (*name)(void* device, char* name, unsigned length);
  int (*temperature)(void* device, int sensor, unsigned* celsius);
  int (*power)(void* device, unsigned* milliwatts);
  int (*clock)(void* device, int which, unsigned* mhz);
  int (*reasons)(void* device, unsigned long long* reasons);
  int (*memory)(void* device, Memory* memory);

  bool FindAll(void* library) {
    return Find(library, "nvmlInit_v2", init) && Find(library, "nvmlShutdown", shutdown) &&
           Find(library, "nvmlDeviceGetCount_v2", count) &&
           Find(library, "nvmlDeviceGetHandleByIndex_v2", by_index) &&
           Find(library, "nvmlDeviceGetName", name) &&
           Find(library, "nvmlDeviceGetTemperature", temperature) &&
           Find(library, "nvmlDeviceGetPowerUsage", power) &&
           Find(library, "nvmlDeviceGetClockInfo", clock) &&
           Find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", reasons) &&
           Find(library, "nvmlDeviceGetMemoryInfo", memory);
  }
};

Nvml::Nvml(void* library, std::unique_ptr<Functions> functions)
    : library_(library), functions_(std::move(functions)) {}

Nvml::~Nvml() {
  functions_->shutdown();
  dlclose(library_);
}

std::unique_ptr<Nvml> Nvml::Open(const std::string& library) {
  void* opened = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) return nullptr;
  auto functions = std::make_unique<Functions>();
  if (!functions->FindAll(opened) || functions->init() != kSuccess) {
    dlclose(opened);
    return nullptr;
  }
  return std::unique_ptr<Nvml>(new Nvml(opened, std::move(functions)));
}

SensorReading Nvml::ReadDevice(void* device) const {
  SensorReading reading;
  char name[96] = {};
  reading.device = functions_->name(device, name, sizeof(name) - 1) == kSuccess ? name : "NVIDIA";
  unsigned value = 0;
  if (functions_->temperature(device, kTemperatureOfGpu, &value) == kSuccess)
    reading.temperature_c = value;
  if (functions_->power(device, &value) == kSuccess) reading.power_w = value / 1e3;
  if (functions_->clock(device, kClockOfMultiprocessors, &value) == kSuccess)
    reading.clock_mhz = value;
  unsigned long long reasons = 0;
  if (functions_->reasons(device, &reasons) == kSuccess)
    reading.throttled = (reasons & kThrottling) != 0;
  Memory memory = {};
  if (functions_->memory(device, &memory) == kSuccess) {
    reading.memory_used_bytes = memory.used;
    reading.memory_total_bytes = memory.total;
  }
  return reading;
}

std::vector<SensorReading> Nvml::Read() const {
  std::vector<SensorReading> readings;
  unsigned count = 0;
  if (functions_->count(&count) != kSuccess) return readings;
  for (unsigned i = 0; i < count; ++i) {
    void* device = nullptr;
    if (functions_->by_index(i, &device) == kSuccess) readings.push_back(ReadDevice(device));
  }
  return readings;
}

}  // namespace baton::os
