// Orders of nodes, and what no choice of boundaries along them can be better than. Pure.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
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

// Computes bounds, once for all orders that differ in nothing but which of several equal nodes they
// have where.
class BoundsBook {
 public:
  // `judge` must outlive it.
  explicit BoundsBook(const Judge& judge);
  struct Known {
    bool leads_on = false;              // some layers come out at the end of the order
    std::optional<OrderBounds> bounds;  // all of them do
  };
  const Known& Of(const std::vector<size_t>& nodes);
  // Nodes of one kind can be exchanged for one another in any arrangement.
  size_t KindOf(size_t node) const { return kinds_[node]; }

 private:
  // The least that the nodes so far take for the first n layers, for every n.
  struct Front {
    std::vector<double> fill, slowest, decode, both, prefill_busy, decode_busy, both_busy;
  };
  Front Start() const;
  // `after` them all; false where no layers come out: too little memory, or no link.
  bool Extend(const Front& before, std::span<const size_t> nodes, Front& after) const;
  OrderBounds BoundsOf(const Front& front, const std::vector<size_t>& nodes) const;

  const Judge& judge_;
  const std::vector<size_t> kinds_;
  const Front start_;
  std::unordered_map<std::u32string, Known> known_;  // by kinds
  // The order that was computed last: orders are asked for as they branch.
  std::u32string last_;
  std::vector<Front> fronts_;  // behind each of its nodes
};

// Collects orders, each once.
class OrderBook {
 public:
  explicit OrderBook(BoundsBook& bounds) : bounds_(bounds) {}
  // Every order of every subset of `nodes`, of up to `stages_max` stages.
  void AddAll(const std::vector<size_t>& nodes, size_t stages_max);
  void Add(const std::vector<size_t>& nodes);
  const std::vector<Order>& orders() const { return orders_; }

 private:
  void Grow(const std::vector<size_t>& from, size_t stages_max, std::vector<size_t>& nodes);

  BoundsBook& bounds_;
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
