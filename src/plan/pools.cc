#include "plan/pools.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace baton::plan {
namespace {

using Cores = std::vector<int>;

Cores Union(const Cores& a, const Cores& b) {
  Cores both;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

bool Meet(const Cores& a, const Cores& b) {
  return std::any_of(a.begin(), a.end(),
                     [&](int core) { return std::binary_search(b.begin(), b.end(), core); });
}

// The cores of nodes that have some in common, each such cluster of nodes once.
std::vector<Cores> Connected(const std::set<Cores>& sets) {
  std::vector<Cores> connected;
  for (Cores cores : sets) {
    const auto met = std::partition(connected.begin(), connected.end(),
                                    [&](const Cores& other) { return !Meet(cores, other); });
    for (auto other = met; other != connected.end(); ++other) cores = Union(cores, *other);
    connected.erase(met, connected.end());
    connected.push_back(std::move(cores));
  }
  return connected;
}

}  // namespace

Pools::Pools(const ClusterProfile& cluster) {
  std::map<std::string, std::set<Cores>> machines;
  for (const NodeProfile& node : cluster.nodes) {
    const Processors& processors = node.device.processors;
    if (!processors.machine.empty() && !processors.cores.empty())
      machines[processors.machine].insert(processors.cores);
  }
  for (auto& [machine, sets] : machines) {
    for (const Cores& cores : Connected(sets)) sets.insert(cores);
    for (const Cores& cores : sets) Add(cluster, machine, cores);
  }
}

// Of the nodes that have no other cores, if there are several, with more threads than cores.
void Pools::Add(const ClusterProfile& cluster, const std::string& machine, const Cores& cores) {
  Pool pool;
  int nodes = 0;
  double sum = 0;
  for (const NodeProfile& node : cluster.nodes) {
    const Processors& its = node.device.processors;
    const bool within =
        its.machine == machine && !its.cores.empty() && its.threads > 0 &&
        std::includes(cores.begin(), cores.end(), its.cores.begin(), its.cores.end());
    // More threads than cores take turns already, as measured.
    const double threads = std::min(its.threads, static_cast<int>(its.cores.size()));
    pool.shares.push_back(within ? threads / static_cast<double>(cores.size()) : 0);
    pool.has_team = pool.has_team || (pool.shares.back() == 1 && threads > 1);
    nodes += within ? 1 : 0;
    sum += pool.shares.back();
  }
  if (nodes > 1 && sum > 1) pools_.push_back(std::move(pool));
}

bool Pools::Fills(size_t node, size_t other) const {
  return std::any_of(pools_.begin(), pools_.end(), [&](const Pool& pool) {
    return pool.shares[node] >= 1 && pool.shares[other] > 0;
  });
}

bool Pools::Alike(size_t a, size_t b) const {
  return std::all_of(pools_.begin(), pools_.end(),
                     [&](const Pool& pool) { return pool.shares[a] == pool.shares[b]; });
}

std::vector<std::vector<size_t>> Pools::Sharers() const {
  std::vector<std::vector<size_t>> all;
  for (const Pool& pool : pools_) {
    std::vector<size_t>& sharers = all.emplace_back();
    for (size_t node = 0; node < pool.shares.size(); ++node) {
      if (pool.shares[node] > 0) sharers.push_back(node);
    }
  }
  return all;
}

double Pools::SecondsTogether(const std::vector<Part>& parts) const {
  Load load(*this);
  for (const Part& part : parts) load.Add(part.node, part.seconds);
  double most = 0;
  for (size_t i = 0; i < pools_.size(); ++i) {
    const Pool& pool = pools_[i];
    const bool teams = pool.has_team && std::any_of(parts.begin(), parts.end(), [&](auto& part) {
                         return pool.shares[part.node] >= 1;
                       });
    most = std::max(most, teams ? load.SecondsOf(i) : SecondsOfEqualShares(pool, parts));
  }
  return most;
}

double Pools::SecondsOfEqualShares(const Pool& pool, const std::vector<Part>& parts) {
  std::vector<std::pair<double, double>> left;  // seconds and share, of who is not done
  double threads = 0;                           // of those, over the processors
  for (const Part& part : parts) {
    const double share = pool.shares[part.node];
    if (share <= 0) continue;
    left.emplace_back(part.seconds, share);
    threads += share;
  }
  std::sort(left.begin(), left.end());
  double sum = 0;
  double done = 0;  // of each
  for (const auto& [seconds, share] : left) {
    sum += (seconds - done) * std::max(1.0, threads);
    done = seconds;
    threads -= share;
  }
  return sum;
}

double Pools::ShareOf(size_t node) const {
  double most = 0;
  for (const Pool& pool : pools_) most = std::max(most, pool.shares[node]);
  return most;
}

}  // namespace baton::plan
