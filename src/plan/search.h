// The search: which arrangement of stages is best. Pure, and the same on every machine.
//
// Of up to six nodes every order of every subset is weighed, in each role and in pairs of roles,
// with the best boundaries; what cannot be better than the best so far, by bounds that never err,
// is left out, and of orders that differ in equal nodes only one computes prompts. Where layers are
// many there is not time for all pairs: those come first that promise most. Of more nodes: every
// single one, every order of a few stages, routes through them all, and every order of a few that
// promise most; then, from the best few, the routes of each role beside the other, and whatever
// differs in one step, while that finds better ones. Where the best without one node are known,
// only steps that bring it in.
//
// So one search of many nodes may miss what another of fewer finds. The planner makes several, of
// more and more nodes and without each of the best plan's, and keeps what they find.
#pragma once

#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "plan/candidates.h"
#include "plan/evaluate.h"
#include "plan/orders.h"

namespace baton::plan {

inline constexpr size_t kNodesWeighedInFull = 6;
// More are too many to weigh everything, whatever the number of nodes.
inline constexpr int kLayersMany = 16;

// Is there time to weigh with care what the first nodes do? Where nodes and layers are many there
// is not.
bool HasTimeForCare(const ClusterProfile& cluster, const ModelCost& model);

// Orders of nodes that compute prompts (none: the others do it) and that generate.
using OrderPairs = std::set<std::pair<std::vector<size_t>, std::vector<size_t>>>;

// What may be chosen. Empty fields leave the choice to the search.
struct SearchSpace {
  std::vector<size_t> nodes;                   // these and no others
  std::optional<std::vector<size_t>> prefill;  // exactly these, in this order
  std::optional<std::vector<size_t>> decode;   // exactly these, in this order
  std::optional<Group> decode_group;           // exactly this, which computes its own prompts
                                               // unless `prefill` says who does
  std::vector<Arrangement> known;              // found elsewhere: weighed first
  // The best that `nodes` do without this one are known: nothing else without it is weighed.
  std::optional<size_t> newest;
  // Of many nodes, nothing but routes and what steps lead to from there.
  bool routes_only = false;
  // The best of these are known; what is weighed is added to them.
  OrderPairs* weighed = nullptr;
  // Only what takes less (of the objective) is wanted.
  double seconds_below = std::numeric_limits<double>::infinity();
  // Layer ranges computed in pairs of roles, and in orders that do both; 0: as many as are usual.
  double cells = 0;
};

// The best candidates of different nodes or roles, best first; among them every node alone that
// holds the model, unless `space` says who does it. Empty if nothing fits. `bounds` is of this
// judge.
std::vector<Candidate> Find(const Judge& judge, const SearchSpace& space, BoundsBook& bounds);

// By identity, so that the order in which a cluster lists its nodes decides nothing.
std::vector<size_t> ById(const ClusterProfile& cluster, std::vector<size_t> nodes);

}  // namespace baton::plan
