// A plan: who computes prompts, who generates, and what that is predicted to take. Plain values.
#pragma once

#include <string>
#include <vector>

#include "plan/profile.h"

namespace baton::plan {

struct StagePlan {
  NodeId node;
  LayerRange layers;
  uint64_t memory_bytes = 0;  // on that node, whatever roles it has in the plan
  double prefill_s = 0;       // its share of computing the whole prompt
  double decode_s = 0;        // its share of one token
  // What the device takes for one request while it works on it, idling left out; 0: not known.
  double energy_j = 0;
  // Of what memory lets the nodes of its machine read, while it generates; 0: it reads alone.
  double memory_share = 0;
};

// One instance of the model, or several side by side.
struct Plan {
  // Of several: each on nodes of its own, with its share of the requests, the first node's identity
  // ascending. Then there are no stages here, times are those of the instance that takes longest,
  // and request_s is that of all together.
  std::vector<Plan> instances;
  std::vector<StagePlan> prefill;  // empty: the decode group computes the prompt itself
  std::vector<StagePlan> decode;
  double prefill_s = 0;    // of the workload's prompt, on whichever group computes it
  double exposed_s = 0;    // KV transfer that prefill does not hide
  bool kv_hidden = false;  // only one unit of the stream is exposed
  double ttft_s = 0;       // first token at the entry node
  double decode_step_s = 0;
  double total_s = 0;     // prompt in, last token out
  double request_s = 0;   // from one finished request to the next, with the workload's concurrency
  int answer_tokens = 0;  // of the workload
  int concurrency = 1;    // requests at once that this is for
  int slots = 1;          // requests at once that there is memory for
  KvType kv_type = KvType::kF16;       // of pages
  KvType kv_wire_type = KvType::kF16;  // between nodes
  ActivationType activation_type = ActivationType::kF32;
  std::string reason;  // one sentence

  double decode_tokens_per_s() const { return decode_step_s > 0 ? 1 / decode_step_s : 0; }
  // Of all requests together.
  double throughput_tokens_per_s() const { return request_s > 0 ? answer_tokens / request_s : 0; }
  bool disaggregated() const { return !prefill.empty(); }
};

// Its instances; itself, where it is one.
std::vector<const Plan*> InstancesOf(const Plan& plan);
// The plan of several instances; itself, where it is one. Needs at least one.
Plan SideBySide(std::vector<Plan> instances);
// What `objective` makes small; of fit, which counts nodes first, what decides between equals.
double SecondsOf(const Plan& plan, Objective objective);
// The nodes of a plan, each once, ascending.
std::vector<NodeId> NodesUsed(const Plan& plan);

}  // namespace baton::plan
