#include "os/topology.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <set>

#include <hwloc.h>

#include "os/system.h"

namespace baton::os {
namespace {

struct Destroy {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, Destroy>;

// Cores, their threads and memory nodes of this machine; null if hwloc cannot tell.
Topology LoadTopology() {
  hwloc_topology_t topology;
  if (hwloc_topology_init(&topology) != 0) return nullptr;
  Topology owned(topology);
  hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_cache_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL);
  return hwloc_topology_load(topology) == 0 ? std::move(owned) : nullptr;
}

hwloc_topology* ThisMachine() {
  static const Topology topology = LoadTopology();
  return topology.get();
}

// Processor seconds per second that the cgroup pays for, rounded up; 0: no limit.
size_t CgroupProcessors() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota, period;
  if (!(file >> quota >> period) || period <= 0) return 0;  // "max", or no such file
  return static_cast<size_t>(std::max(1.0, std::ceil(quota / period)));
}

// Null where nothing is known of the processor or its core.
hwloc_obj_t CoreOf(hwloc_topology* topology, int processor) {
  const hwloc_obj_t unit = topology == nullptr ? nullptr
                                               : hwloc_get_pu_obj_by_os_index(
                                                     topology, static_cast<unsigned>(processor));
  return unit == nullptr ? nullptr : hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, unit);
}

// Of several kinds of cores, is this processor of the slowest?
bool IsSlowest(hwloc_topology* topology, unsigned processor) {
  const int kinds = hwloc_cpukinds_get_nr(topology, 0);
  if (kinds < 2) return false;
  hwloc_bitmap_t set = hwloc_bitmap_alloc();
  hwloc_bitmap_only(set, processor);
  const int kind = hwloc_cpukinds_get_by_cpuset(topology, set, 0);
  hwloc_bitmap_free(set);
  int efficiency = -1;  // hwloc's word for speed: 0 is the slowest, -1 unknown
  if (kind >= 0) {
    hwloc_cpukinds_get_info(topology, static_cast<unsigned>(kind), nullptr, &efficiency, nullptr,
                            nullptr, 0);
  }
  return efficiency == 0;
}

}  // namespace

std::vector<int> ChooseProcessors(hwloc_topology* topology, const std::vector<int>& allowed,
                                  size_t most) {
  std::vector<int> chosen, slow;
  std::set<hwloc_obj_t> cores;
  for (const int processor : allowed) {
    const hwloc_obj_t core = CoreOf(topology, processor);
    if (core != nullptr && !cores.insert(core).second) continue;
    if (topology != nullptr && IsSlowest(topology, static_cast<unsigned>(processor))) {
      slow.push_back(processor);
      continue;
    }
    chosen.push_back(processor);
  }
  if (chosen.empty()) chosen = slow;
  if (most > 0 && chosen.size() > most) chosen.resize(most);
  return chosen;
}

const std::vector<int>& ComputeProcessors() {
  static const std::vector<int> processors =
      ChooseProcessors(ThisMachine(), AllowedProcessors(), CgroupProcessors());
  return processors;
}

std::vector<int> CoresOf(hwloc_topology* topology, const std::vector<int>& processors) {
  std::set<int> cores;
  for (const int processor : processors) {
    const hwloc_obj_t core = CoreOf(topology, processor);
    cores.insert(core == nullptr ? processor : hwloc_bitmap_first(core->complete_cpuset));
  }
  return {cores.begin(), cores.end()};
}

std::vector<int> AllowedCores() {
  return CoresOf(ThisMachine(), AllowedProcessors());
}

uint64_t CacheBytesOf(hwloc_topology* topology, const std::vector<int>& processors) {
  std::set<hwloc_obj_t> caches;
  uint64_t bytes = 0;
  for (const int processor : processors) {
    if (topology == nullptr) continue;
    hwloc_obj_t last = nullptr;
    for (hwloc_obj_t each =
             hwloc_get_pu_obj_by_os_index(topology, static_cast<unsigned>(processor));
         each != nullptr; each = each->parent)
      last = hwloc_obj_type_is_dcache(each->type) ? each : last;
    if (last != nullptr && caches.insert(last).second) bytes += last->attr->cache.size;
  }
  return bytes;
}

uint64_t CacheBytes() {
  return CacheBytesOf(ThisMachine(), ComputeProcessors());
}

void SpreadOverMemoryNodes(void* data, size_t bytes) {
  hwloc_topology* topology = ThisMachine();
  if (topology == nullptr || hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE) < 2) return;
  hwloc_set_area_membind(topology, data, bytes, hwloc_topology_get_topology_nodeset(topology),
                         HWLOC_MEMBIND_INTERLEAVE, HWLOC_MEMBIND_BYNODESET);
}

}  // namespace baton::os
