#include "plan/memory_pools.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace baton::plan {
namespace {

constexpr double kHundred = 100;

}  // namespace

MemoryPools::MemoryPools(const ClusterProfile& cluster) {
  struct Machine {
    size_t nodes = 0;
    bool all_know = true;
    double bytes_per_s = 0;
  };
  std::map<std::string, Machine> machines;
  for (const NodeProfile& node : cluster.nodes) {
    const Processors& its = node.device.processors;
    if (its.machine.empty()) continue;
    Machine& machine = machines[its.machine];
    ++machine.nodes;
    machine.all_know = machine.all_know && its.shared_reading_bytes_per_s > 0;
    machine.bytes_per_s += its.shared_reading_bytes_per_s;
  }
  std::map<std::string, int> places;
  for (const auto& [name, machine] : machines) {
    if (machine.nodes < 2 || !machine.all_know) continue;
    places.emplace(name, static_cast<int>(bytes_per_s_.size()));
    bytes_per_s_.push_back(machine.bytes_per_s);
  }
  empty_ = places.empty();
  if (empty_) return;
  for (const NodeProfile& node : cluster.nodes) {
    const auto place = places.find(node.device.processors.machine);
    machine_of_.push_back(place == places.end() ? -1 : place->second);
  }
}

double MemoryPools::ShareOf(size_t node, double bytes_per_s) const {
  if (empty_ || machine_of_[node] < 0) return 0;
  return std::min(1.0, bytes_per_s / bytes_per_s_[static_cast<size_t>(machine_of_[node])]);
}

std::vector<double> MemoryPools::Stretch(std::span<const Part> parts) const {
  std::vector<double> times(parts.size(), 1);
  for (size_t i = 0; i < parts.size() && !empty_; ++i) {
    const int machine = machine_of_[parts[i].node];
    if (machine < 0) continue;
    // How likely it is that the others take so much, in hundredths.
    std::map<int, double> taken = {{0, 1}};
    for (size_t other = 0; other < parts.size(); ++other) {
      const Part& its = parts[other];
      if (other == i || machine_of_[its.node] != machine || its.share <= 0) continue;
      const int share = static_cast<int>(std::lround(its.share * kHundred));
      std::map<int, double> next;
      for (const auto& [so_far, likely] : taken) {
        next[so_far] += likely * (1 - its.active);
        next[so_far + share] += likely * its.active;
      }
      taken = std::move(next);
    }
    times[i] = 0;
    for (const auto& [others, likely] : taken)
      times[i] += likely * std::max(1.0, parts[i].share + others / kHundred);
  }
  return times;
}

}  // namespace baton::plan
