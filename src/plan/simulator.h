// Simulator: the cost model with queues, for fleets that no laboratory holds. Copies of a cluster,
// each with the instances of a plan, take requests that come when they come; nodes fail and return.
// Discrete events, no clock, no chance but the seed: equal inputs give equal results. Pure.
//
// What it has of the real thing: prompts in chunks through the stages of a group, decode steps that
// batch whatever waits, one engine per node that lets them take turns as the real one does, KV
// streams that share their link, slots, a router that prefers the idlest instance for what it is
// planned for, and requests of lost instances that go on elsewhere with the tokens that they have.
// What it has not: prefix caches, links that activations have to share.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "plan/planner.h"

namespace baton::plan {

struct SimulationOptions {
  uint64_t seed = 1;
  int replicas = 1;           // of the cluster, with all instances of the plan
  int64_t requests = 1000;    // until the end
  double requests_per_s = 1;  // of all replicas together: a Poisson process
  // Lengths are uniform, within this share of the workload's on both sides.
  double spread = 0;
  double failures_per_node_hour = 0;
  double repair_s = 60;
};

// Of all requests.
struct Spread {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
};

struct SimulationResult {
  int64_t completed = 0;
  int64_t generated_tokens = 0;
  int64_t failures = 0;  // of nodes
  int64_t restarts = 0;  // of requests
  double end_s = 0;      // the last request's
  Spread wait_s;         // until a slot was free
  Spread ttft_s;
  Spread decode_s;  // from the first token to the last
  Spread total_s;
  Spread token_s;              // between two tokens of a request
  double requests_inside = 0;  // on average over time
  double busy_share = 0;       // of all nodes' time, on average

  double tokens_per_s() const { return static_cast<double>(generated_tokens) / end_s; }
};

// `workload` has the lengths, the slots (several instances have their shares) and the chunk; `plan`
// is of `cluster`. kInvalidArgument for options without sense; kResourceExhausted if the requests
// do not come to an end.
Result<SimulationResult> Simulate(const ClusterProfile& cluster, const ModelCost& model,
                                  const Workload& workload, const Plan& plan, const NodeId& entry,
                                  const SimulationOptions& options);

}  // namespace baton::plan
