// For tests of hostile input that must not keep a process busy: the processor's time, on which
// others on the machine have little influence.
#pragma once

#include <ctime>

namespace baton {

class CpuStopwatch {
 public:
  double Seconds() const {
    return static_cast<double>(std::clock() - begin_) / static_cast<double>(CLOCKS_PER_SEC);
  }

 private:
  const std::clock_t begin_ = std::clock();
};

}  // namespace baton
