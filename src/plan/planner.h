// The planner: which node runs which layers, who computes prompts and who generates.
//
// A plan has a decode group (stages that cover all layers) and a prefill group: either the same
// stages, or others, whose KV then streams to the decode group layer by layer. The planner weighs
// sets of nodes, alone and in pairs of roles, and leaves out whatever does not help (search.h has
// what is weighed; explain.h what binds a plan and what would better it). Of several requests at
// once it weighs whether several such instances side by side serve them better (division.h): more
// tokens in all, or, by latency, each request sooner. Ties go to fewer instances, then nodes. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "plan/constraints.h"
#include "plan/explanation.h"
#include "plan/plan.h"
#include "plan/profile.h"

namespace baton::plan {

struct Alternative {
  Plan plan;
  std::string why;  // it lost
};

struct PlanResult {
  Plan chosen;
  std::vector<Alternative> alternatives;  // best first
  bool stands = false;                    // of Reconsider(): nothing is to be moved
  Explanation explanation;                // of the chosen one; empty until Explain() is asked
};

// kFailedPrecondition, with what is lacking, if nothing fits: no node with the model, or not enough
// memory in all. kInvalidArgument for constraints that contradict the cluster or the model.
// `entry` is the node that the client is connected to.
Result<PlanResult> Make(const ClusterProfile& cluster, const ModelCost& model,
                        const Workload& workload, const NodeId& entry,
                        const Constraints& constraints = {});

struct ReconsiderOptions {
  // What a move must gain, of the objective: loading anew costs minutes, and what is measured
  // varies.
  double gain = 0.10;
  // What stands is nearly as good as anything: less is done so as not to miss what is rarely
  // missed.
  bool briefly = false;
};

// Make(), but what stands is kept as long as it is possible and obeys the constraints, and nothing
// is better by more than `options.gain`.
Result<PlanResult> Reconsider(const ClusterProfile& cluster, const ModelCost& model,
                              const Workload& workload, const NodeId& entry,
                              const Constraints& constraints, const Plan& standing,
                              const ReconsiderOptions& options = {});

// The decision for one request under a standing plan: is handing over worth it for this prompt? For
// the request itself or, where the objective is throughput, for all of them.
struct RequestEstimate {
  bool remote_prefill = false;
  double local_s = 0;   // until the decode group could emit its second token, prompt included
  double remote_s = 0;  // likewise, computed by the prefill group and handed over
};
RequestEstimate Estimate(const ClusterProfile& cluster, const ModelCost& model, const Plan& plan,
                         Workload workload, int uncached_on_decode, int uncached_on_prefill);

}  // namespace baton::plan
