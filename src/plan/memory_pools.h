// Memory pools: machines on which several nodes generate, whose memory does not let all of them
// read at once as fast as each reads alone. Pure.
#pragma once

#include <span>
#include <vector>

#include "plan/profile.h"

namespace baton::plan {

class MemoryPools {
 public:
  // A node that generates.
  struct Part {
    size_t node = 0;
    double share = 0;   // of what memory lets all nodes of its machine read, while it generates
    double active = 0;  // of the time that it does
  };

  MemoryPools() = default;
  explicit MemoryPools(const ClusterProfile& cluster);

  bool empty() const { return empty_; }
  // On one machine, or each alone?
  bool Alike(size_t a, size_t b) const { return empty_ || machine_of_[a] == machine_of_[b]; }
  // The share of a node that reads so much; 0 where it reads alone.
  double ShareOf(size_t node, double bytes_per_s) const;
  // By how much longer each takes than alone, if the others are at work as often as they say and at
  // no certain times.
  std::vector<double> Stretch(std::span<const Part> parts) const;

 private:
  bool empty_ = true;
  std::vector<int> machine_of_;      // by node; -1: none
  std::vector<double> bytes_per_s_;  // by machine
};

}  // namespace baton::plan
