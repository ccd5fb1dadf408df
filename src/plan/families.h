// Divisions of more nodes than can be partitioned in full: families of instances on disjoint nodes,
// each dealt the requests one by one. Pure.
//
// A family has every node that holds the model alone, and packs the others into groups that just
// hold it, along a few fixed sequences of nodes; or it begins with one of the best plans of one
// instance, and has the rest likewise. A request goes to whichever instance does most with it.
#pragma once

#include <vector>

#include "plan/plan.h"

namespace baton::plan {

// As Divide() in division.h. `nodes` ascend by identity.
std::vector<Plan> DivideMany(const ClusterProfile& cluster, const ModelCost& model,
                             const Workload& workload, const NodeId& entry,
                             const std::vector<size_t>& nodes, const std::vector<Plan>& whole);

}  // namespace baton::plan
