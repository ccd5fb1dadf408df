// Pools: processors that several nodes of one machine compute on, with more threads than there are
// processors. Who computes there at once takes turns. Pure.
#pragma once

#include <algorithm>
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

  // Until the last has ended of some nodes that begin at once, each of which would take so long
  // alone: while there are more threads than processors, each thread has the same share of these. A
  // team's threads take over what the one has left whose processor is taken: it is in turns.
  struct Part {
    size_t node = 0;
    double seconds = 0;
  };
  double SecondsTogether(const std::vector<Part>& parts) const;

  // What nodes compute at once, summed up. Threads of a team that has all processors of a pool wait
  // for each other: while another has one of them, the rest do for between nothing and as long, a
  // third of it as measured, and no longer than the team computes.
  class Load {
   public:
    explicit Load(const Pools& pools) : pools_(pools), of_(pools.pools_.size()) {}
    // Of a node, as long as it takes alone.
    void Add(size_t node, double seconds) {
      for (size_t i = 0; i < of_.size(); ++i) {
        const double share = pools_.pools_[i].shares[node];
        if (share <= 0) continue;
        of_[i].sum += seconds * share;
        if (share < 1)
          of_[i].beside += seconds * (1 - share);
        else
          of_[i].teams += seconds;
      }
    }
    // That the busiest pool takes at least; 0 where there is none.
    double Seconds() const {
      double most = 0;
      for (size_t i = 0; i < of_.size(); ++i) most = std::max(most, SecondsOf(i));
      return most;
    }

    // Likewise, of the pools of one node.
    double SecondsAt(size_t node) const {
      double most = 0;
      for (size_t i = 0; i < of_.size(); ++i) {
        if (pools_.pools_[i].shares[node] > 0) most = std::max(most, SecondsOf(i));
      }
      return most;
    }

   private:
    friend class Pools;
    struct OfPool {
      double sum = 0;
      double teams = 0;   // of those that take all processors
      double beside = 0;  // while others take one, that the rest would have had
    };
    double SecondsOf(size_t pool) const {
      const OfPool& of = of_[pool];
      return of.sum + (pools_.pools_[pool].has_team ? std::min(of.teams, of.beside / 3) : 0);
    }
    const Pools& pools_;
    std::vector<OfPool> of_;
  };

 private:
  struct Pool {
    std::vector<double> shares;  // by node, of the processors, for its threads; 0: not of this pool
    bool has_team = false;       // of several threads, with all processors
  };
  void Add(const ClusterProfile& cluster, const std::string& machine,
           const std::vector<int>& cores);
  static double SecondsOfEqualShares(const Pool& pool, const std::vector<Part>& parts);

  std::vector<Pool> pools_;
};

}  // namespace baton::plan
