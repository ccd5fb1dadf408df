// The search: which arrangement of stages is best. Pure, and the same on every machine.
//
// Of up to six nodes every order of every subset is weighed, in each role and in pairs of roles,
// with the best boundaries; what cannot be better than the best so far, by a bound that never errs,
// is left out, and of orders that differ in equal nodes only one computes prompts. Of more nodes:
// every single one, every pair in both roles, every order of a few that promise most, and the best
// of all subsets that follow a few fixed sequences; of up to twelve, what a search without each of
// them finds; then, from the best few, whatever differs from one of them in one step, while that
// finds better ones. Where layers are many, not all pairs of orders of six nodes can be weighed:
// then all subsets are searched by themselves, too, up to a seventh node.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "plan/evaluate.h"
#include "plan/orders.h"

namespace baton::plan {

inline constexpr size_t kNodesWeighedInFull = 6;
// More are too many to weigh everything, whatever the number of nodes.
inline constexpr int kLayersMany = 16;

struct Candidate {
  Arrangement arrangement;
  Totals totals;
  Score score;
};

// What may be chosen. Empty fields leave the choice to the search.
struct SearchSpace {
  std::vector<size_t> nodes;                   // these and no others
  std::optional<std::vector<size_t>> prefill;  // exactly these, in this order
  std::optional<std::vector<size_t>> decode;   // exactly these, in this order
  std::optional<Group> decode_group;           // exactly this, which computes its own prompts
                                               // unless `prefill` says who does
  std::vector<Arrangement> known;              // found elsewhere: weighed first
  // Only what takes less (of the objective) is wanted.
  double seconds_below = std::numeric_limits<double>::infinity();
  // Layer ranges computed in pairs of roles, and in orders that do both; 0: as many as are usual.
  double cells = 0;
};

// The best candidates of different nodes or roles, best first; among them every node alone that
// holds the model. Empty if nothing fits. `bounds` is of this judge.
std::vector<Candidate> Find(const Judge& judge, const SearchSpace& space, BoundsBook& bounds);

// A total order: score, then fewer nodes, then the nodes and the boundaries themselves.
bool Better(const CostTable& costs, const Candidate& a, const Candidate& b);

}  // namespace baton::plan
