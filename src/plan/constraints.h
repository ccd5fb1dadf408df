// What the owner of a cluster says of a placement (`baton place`), and what that leaves to choose.
#pragma once

#include <vector>

#include "base/result.h"
#include "plan/search.h"

namespace baton::plan {

// Overrides of the owner: empty fields leave the choice to the planner.
struct Constraints {
  std::vector<NodeId> nodes;       // only these
  std::vector<NodeId> prefill_on;  // exactly these, in this order
  std::vector<NodeId> decode_on;   // exactly these, in this order
  std::vector<int> split;          // layers per decode node, in order; without prefill_on they
                                   // compute prompts too
  bool one_instance = false;       // however many there might be side by side

  // Does the owner say which stages there are?
  bool told() const { return !prefill_on.empty() || !decode_on.empty() || !split.empty(); }
};

// kInvalidArgument for constraints that contradict the cluster or the model, kFailedPrecondition
// where a node that is named lacks the model or the memory.
Result<SearchSpace> SpaceOf(const CostTable& costs, const Constraints& constraints);

// Why nothing fits at all.
Error NothingFits(const CostTable& costs);

}  // namespace baton::plan
