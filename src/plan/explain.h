// What binds a plan, what a better part would buy, and what else could be done with the same
// devices. Costs several plannings: for people who ask, not for the path of a request. Pure.
#pragma once

#include "plan/planner.h"

namespace baton::plan {

struct ExplainOptions {
  bool upgrades = true;
  bool sharded = false;  // groups that this program cannot run yet
};
Explanation Explain(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
                    const NodeId& entry, const Constraints& constraints, const Plan& chosen,
                    const ExplainOptions& options = {});

}  // namespace baton::plan
