// The planner: which node runs which layers, who computes prompts and who generates.
//
// A plan has a decode group (stages that cover all layers) and a prefill group: either the same
// stages, or others, whose KV then streams to the decode group layer by layer. The planner weighs
// every set of nodes, alone and in pairs of roles, and leaves out whatever does not help. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "plan/profile.h"

namespace baton::plan {

struct StagePlan {
  NodeId node;
  LayerRange layers;
  uint64_t memory_bytes = 0;  // on that node, whatever roles it has in the plan
  double prefill_s = 0;       // its share of computing the whole prompt
  double decode_s = 0;        // its share of one token
};

struct Plan {
  std::vector<StagePlan> prefill;  // empty: the decode group computes the prompt itself
  std::vector<StagePlan> decode;
  double prefill_s = 0;    // of the workload's prompt, on whichever group computes it
  double exposed_s = 0;    // KV transfer that prefill does not hide
  bool kv_hidden = false;  // only one unit of the stream is exposed
  double ttft_s = 0;       // first token at the entry node
  double decode_step_s = 0;
  double total_s = 0;  // prompt in, last token out
  std::string reason;  // one sentence

  double decode_tokens_per_s() const { return decode_step_s > 0 ? 1 / decode_step_s : 0; }
  bool disaggregated() const { return !prefill.empty(); }
};

struct Alternative {
  Plan plan;
  std::string why;  // it lost
};

struct PlanResult {
  Plan chosen;
  std::vector<Alternative> alternatives;  // best first
};

// Overrides of the owner (`baton place`): empty fields leave the choice to the planner.
struct Constraints {
  std::vector<NodeId> nodes;       // only these
  std::vector<NodeId> prefill_on;  // exactly these, in this order
  std::vector<NodeId> decode_on;   // exactly these, in this order
  std::vector<int> split;          // layers per decode node, in order; without prefill_on they
                                   // compute prompts too
};

// kFailedPrecondition, with what is lacking, if nothing fits: no node with the model, or not enough
// memory in all. kInvalidArgument for constraints that contradict the cluster or the model.
// `entry` is the node that the client is connected to.
Result<PlanResult> Make(const ClusterProfile& cluster, const ModelCost& model,
                        const Workload& workload, const NodeId& entry,
                        const Constraints& constraints = {});

// The decision for one request under a standing plan: is handing over worth it for this prompt?
struct RequestEstimate {
  bool remote_prefill = false;
  double local_s = 0;   // until the decode group could emit its second token, prompt included
  double remote_s = 0;  // likewise, computed by the prefill group and handed over
};
RequestEstimate Estimate(const ClusterProfile& cluster, const ModelCost& model, const Plan& plan,
                         Workload workload, int uncached_on_decode, int uncached_on_prefill);

}  // namespace baton::plan
