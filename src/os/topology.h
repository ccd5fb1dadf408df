// Which processors are worth computing on, and where their memory lies; from hwloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

struct hwloc_topology;

namespace baton::os {

// One processor of each physical core that this process may run on, as many as its cgroup pays
// for. A core's second thread shares the arithmetic units of the first, and the slowest kind of
// core, where there are several, would be waited for at the end of every matrix: both are left out.
// Looked up once; any thread.
const std::vector<int>& ComputeProcessors();

// The same from any topology: of `allowed` processors, at most `most` (0: no limit).
std::vector<int> ChooseProcessors(hwloc_topology* topology, const std::vector<int>& allowed,
                                  size_t most);

// The cores that this process may run on, each by the lowest number of its processors, ascending:
// two processes of one machine share those that both name.
std::vector<int> AllowedCores();
// Likewise, of some processors.
std::vector<int> CoresOf(hwloc_topology* topology, const std::vector<int>& processors);

// Bytes that the last caches of some processors hold, of those they share once; 0 where nothing is
// known.
uint64_t CacheBytesOf(hwloc_topology* topology, const std::vector<int>& processors);
// Of ComputeProcessors().
uint64_t CacheBytes();

// Where the machine has several memory nodes: the pages of [data, data + bytes) will come from all
// of them in turn, since every core reads every weight. A hint.
void SpreadOverMemoryNodes(void* data, size_t bytes);

}  // namespace baton::os
