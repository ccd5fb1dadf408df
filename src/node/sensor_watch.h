// SensorWatch: reads this machine's sensors every few seconds on a thread of its own and tells when
// they say something else. It ends by itself on a machine that has none.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "os/pause.h"
#include "os/sensors.h"

namespace baton::node {

// To whole degrees and watts, a tenth of a gigahertz and a hundredth of a memory: finer changes are
// not worth a message to everybody.
os::SensorReading Rounded(os::SensorReading reading);

class SensorWatch {
 public:
  using OnChange = std::function<void(std::vector<os::SensorReading>)>;

  // `on_change` is called on the watch's thread.
  SensorWatch(const os::Clock& clock, OnChange on_change);
  ~SensorWatch();
  SensorWatch(const SensorWatch&) = delete;
  SensorWatch& operator=(const SensorWatch&) = delete;

 private:
  void Watch(const os::Clock& clock, const OnChange& on_change);

  os::Pause pause_;
  std::thread thread_;
};

}  // namespace baton::node
