// Routes: groups through any of many nodes, in any order. Pure.
//
// Dynamic programming over layers: of all ways in which a node ends at a layer the quickest is
// kept, with the nodes behind it, which it does not come back to. What is quicker in all by being
// slower up to there is missed; apart from that, nothing is.
#pragma once

#include <vector>

#include "plan/evaluate.h"

namespace baton::plan {

// The best groups of `nodes` to compute prompts, to generate, and to do both, from the quickest one
// after another to those whose slowest stage is quickest; and those that compute prompts beside the
// ones that generate, and the other way round. An order of nodes may be there more than once.
std::vector<Group> BestRoutes(const Judge& judge, const std::vector<size_t>& nodes);

}  // namespace baton::plan
