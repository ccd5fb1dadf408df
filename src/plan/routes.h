// Routes: groups through any of many nodes, in any order. Pure.
//
// Dynamic programming over layers: of all ways in which a node ends at a layer the quickest is
// kept, with the nodes behind it, which it does not come back to. What is quicker in all by being
// slower up to there is missed; apart from that, nothing is.
#pragma once

#include <vector>

#include "plan/evaluate.h"

namespace baton::plan {

// The best groups of `nodes` to compute prompts, to generate, and to do both: each from the least
// sum of stages to the least slowest one, in at most so many steps. Those of one role come with the
// best of the other on other nodes, and alone, as if they did both. An order of nodes may be there
// more than once.
std::vector<Arrangement> BestRoutes(const Judge& judge, const std::vector<size_t>& nodes,
                                    int steps);
// Likewise to compute prompts on nodes that also hold what `decode` gives them.
std::vector<Group> RoutesToCompute(const Judge& judge, const std::vector<size_t>& nodes,
                                   const Group& decode, int steps);
// Likewise to generate on nodes that also hold what `prefill` gives them.
std::vector<Group> RoutesToGenerate(const Judge& judge, const std::vector<size_t>& nodes,
                                    const Group& prefill, int steps);

}  // namespace baton::plan
