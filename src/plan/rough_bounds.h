// What no order of nodes can take less than, told in a moment. Pure.
#pragma once

#include <limits>
#include <optional>
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

// As if every layer cost a node what the cheapest range of it does on average, and could be had in
// parts.
class RoughBounds {
 public:
  // `judge` must outlive it.
  explicit RoughBounds(const Judge& judge);
  OrderBounds Of(const std::vector<size_t>& nodes);
  // Of whatever order of some of these nodes.
  OrderBounds OfAny(const std::vector<size_t>& nodes);

 private:
  // What a layer costs a node at least; and how many layers it holds.
  struct Layer {
    double chunk_s = std::numeric_limits<double>::infinity();
    double whole_s = chunk_s, step_s = chunk_s;
    double prefill_busy_s = chunk_s, decode_busy_s = chunk_s, both_busy_s = chunk_s;
    double held = 0;
  };
  class Mix;
  const Layer& LayerOf(size_t node);

  const Judge& judge_;
  std::vector<std::optional<Layer>> layers_;  // by node, once asked for
};

}  // namespace baton::plan
