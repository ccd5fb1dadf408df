// Orders of nodes, and what no choice of boundaries along them can be better than. Pure.
#pragma once

#include <set>
#include <vector>

#include "plan/evaluate.h"

namespace baton::plan {

// Seconds that an order takes at least, in each role; infinite where it cannot have it.
struct OrderBounds {
  double prefill_s = 0;  // prompt in, first token at the entry
  double decode_s = 0;   // all tokens after the first
  double both_s = 0;     // a whole request
  // Of its busiest node, per request.
  double prefill_busy_s = 0;
  double decode_busy_s = 0;
  double both_busy_s = 0;
};

struct Order {
  std::vector<size_t> nodes;
  OrderBounds at_least;
};

// Collects orders, each once.
class OrderBook {
 public:
  explicit OrderBook(const Judge& judge) : judge_(judge) {}
  // Every order of every subset of `nodes`, of up to `stages_max` stages.
  void AddAll(const std::vector<size_t>& nodes, size_t stages_max);
  void Add(const std::vector<size_t>& nodes);
  const std::vector<Order>& orders() const { return orders_; }

 private:
  // The least that the nodes so far take for the first n layers, for every n.
  struct Front {
    std::vector<double> fill, slowest, decode, both, prefill_busy, decode_busy, both_busy;
  };
  Front Start() const;
  // False where no layers come out: too little memory, or no link.
  bool Extend(const Front& before, const std::vector<size_t>& nodes, Front& after) const;
  OrderBounds BoundsOf(const Front& front, const std::vector<size_t>& nodes) const;
  void Grow(const Front& before, const std::vector<size_t>& from, size_t stages_max,
            std::vector<size_t>& nodes);
  void Keep(const Front& front, const std::vector<size_t>& nodes);

  const Judge& judge_;
  std::set<std::vector<size_t>> known_;
  std::vector<Order> orders_;
};

// The best groups among those whose nodes follow each other as in `sequence`, which may be left
// out: exact for that family wherever more layers take longer, however many nodes there are.
// `sequence` depends on each node alone, so that one node more leaves all others where they are.
std::vector<Group> BestAlong(const Judge& judge, const std::vector<size_t>& sequence);

// Sequences that each node finds its place in by itself: as given (by identity, which is how files
// list racks), by what it reads, and by what it holds.
std::vector<std::vector<size_t>> Sequences(const ClusterProfile& cluster, const ModelCost& model,
                                           const std::vector<size_t>& nodes);

}  // namespace baton::plan
