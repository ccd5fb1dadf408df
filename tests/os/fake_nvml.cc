// A library with the interface of NVIDIA's, as nvml_test.cc loads it: two GPUs, the second of which
// shares its memory with the processor and knows neither its power nor its own memory.
#include <cstdint>
#include <cstring>

namespace {

constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
int gpus[2];
int opened = 0;

bool IsSecond(void* device) {
  return device == &gpus[1];
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int nvmlInit_v2() {
  ++opened;
  return kSuccess;
}
EXPORT int nvmlShutdown() {
  --opened;
  return kSuccess;
}
EXPORT int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = opened == 1 ? 2 : 0;
  return kSuccess;
}
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = &gpus[index];
  return kSuccess;
}
EXPORT int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  std::strncpy(name, IsSecond(device) ? "NVIDIA GB10" : "NVIDIA GeForce RTX 4090", length);
  return kSuccess;
}
EXPORT int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* celsius) {
  *celsius = IsSecond(device) ? 60 : 71;
  return sensor == 0 ? kSuccess : kNotSupported;
}
EXPORT int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  *milliwatts = 350'500;
  return IsSecond(device) ? kNotSupported : kSuccess;
}
EXPORT int nvmlDeviceGetClockInfo(void* device, int which, unsigned* mhz) {
  *mhz = IsSecond(device) ? 2400 : 2520;
  return which == 1 ? kSuccess : kNotSupported;
}
// Idle is no throttling; heat is.
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* reasons) {
  *reasons = IsSecond(device) ? 0x1 : 0x20;
  return kSuccess;
}
EXPORT int nvmlDeviceGetMemoryInfo(void* device, void* memory) {
  const uint64_t total_free_used[3] = {24'000'000'000, 14'000'000'000, 10'000'000'000};
  std::memcpy(memory, total_free_used, sizeof(total_free_used));
  return IsSecond(device) ? kNotSupported : kSuccess;
}
