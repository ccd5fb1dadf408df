// NVIDIA's management library, loaded where it is installed; baton is built and runs without it.
// The few functions of its documented C interface that sensors read. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "os/sensors.h"

namespace baton::os {

class Nvml {
 public:
  // Null if there is no such library, or it finds no driver.
  static std::unique_ptr<Nvml> Open(const std::string& library);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // One per GPU.
  std::vector<SensorReading> Read() const;

 private:
  struct Functions;
  Nvml(void* library, std::unique_ptr<Functions> functions);
  SensorReading ReadDevice(void* device) const;

  void* library_;
  std::unique_ptr<Functions> functions_;
};

}  // namespace baton::os
