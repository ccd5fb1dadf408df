// Pools: processors that several nodes of one machine compute on, with more threads than there are
// processors. Who computes there at once takes turns. Pure.
#pragma once

#include <vector>

#include "plan/profile.h"

namespace baton::plan {

class Pools {
 public:
  explicit Pools(const ClusterProfile& cluster);

  bool empty() const { return pools_.empty(); }
  // Does the first of these nodes (as indices into the cluster) leave the other no processor?
  bool Fills(size_t node, size_t other) const;
  // Can one take the other's place in every pool?
  bool Alike(size_t a, size_t b) const;
  // The nodes of each pool.
  std::vector<std::vector<size_t>> Sharers() const;
  // By how much the busiest of a node's pools is taken while it computes; 0: it has none.
  double ShareOf(size_t node) const;

  // What nodes compute at once, summed up.
  class Load {
   public:
    explicit Load(const Pools& pools) : pools_(pools), seconds_(pools.pools_.size()) {}
    // Of a node, as long as it takes alone.
    void Add(size_t node, double seconds) {
      for (size_t i = 0; i < seconds_.size(); ++i) seconds_[i] += seconds * pools_.pools_[i][node];
    }
    // That the busiest pool takes at least; 0 where there is none.
    double Seconds() const {
      double most = 0;
      for (const double seconds : seconds_) most = most < seconds ? seconds : most;
      return most;
    }

    // Likewise, of the pools of one node.
    double SecondsAt(size_t node) const {
      double most = 0;
      for (size_t i = 0; i < seconds_.size(); ++i)
        most = pools_.pools_[i][node] > 0 && most < seconds_[i] ? seconds_[i] : most;
      return most;
    }

   private:
    const Pools& pools_;
    std::vector<double> seconds_;  // by pool
  };

 private:
  // By node, the share of the processors that its threads take; 0: not of this pool.
  using Pool = std::vector<double>;
  void Add(const ClusterProfile& cluster, const std::string& machine,
           const std::vector<int>& cores);

  std::vector<Pool> pools_;
};

}  // namespace baton::plan
