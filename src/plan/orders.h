// Orders of nodes, and what no choice of boundaries along them can be better than. Pure.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "plan/rough_bounds.h"

namespace baton::plan {

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
  RoughBounds& rough() { return rough_; }

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
  RoughBounds rough_;
  std::unordered_map<std::u32string, Known> known_;  // by kinds
  // The order that was computed last: orders are asked for as they branch.
  std::u32string last_;
  std::vector<Front> fronts_;  // behind each of its nodes
};

// Collects orders, each once.
class OrderBook {
 public:
  explicit OrderBook(BoundsBook& bounds) : bounds_(bounds) {}
  // Every order of every subset of `nodes`, of up to `stages_max` stages, that may be worth it.
  using MayBeWorth = std::function<bool(const std::vector<size_t>& nodes)>;
  void AddAll(const std::vector<size_t>& nodes, size_t stages_max, const MayBeWorth& may_be_worth);
  void Add(const std::vector<size_t>& nodes);
  const std::vector<Order>& orders() const { return orders_; }

 private:
  void Grow(const std::vector<size_t>& from, size_t stages_max, const MayBeWorth& may_be_worth,
            std::vector<size_t>& nodes);

  BoundsBook& bounds_;
  std::set<std::vector<size_t>> known_;
  std::vector<Order> orders_;
};

}  // namespace baton::plan
