// Groups that split every layer instead of the sequence of layers: by heads and rows (tensor), or
// by experts. This program cannot run them yet: they are weighed where the owner asks, never
// placed. Pure.
#pragma once

#include <string>
#include <vector>

#include "plan/cost.h"

namespace baton::plan {

enum class Sharding { kTensor, kExpert };

struct ShardedGroup {
  Sharding kind = Sharding::kTensor;
  std::vector<NodeId> nodes;  // the quickest first; of an expert group it holds all but experts
  std::vector<int> units;     // KV heads, or experts of each layer, that each node has
  std::vector<uint64_t> memory_bytes;
  double prefill_s = 0;
  double decode_step_s = 0;
  double total_s = 0;
  // Seconds of one exchange, of which each layer has two.
  double decode_sync_s = 0;
  double prefill_sync_s = 0;
  // What splitting saves against the quickest node, as if that held the model, is more than what
  // all exchanges take.
  bool pays_in_decode = false;
  bool pays_in_prefill = false;
  std::string words;
};

// Sets of nodes in which each reaches each other, at most eight; best first. Empty where the model
// has neither heads nor experts to split, or nothing fits.
std::vector<ShardedGroup> WeighSharded(const ClusterProfile& cluster, const ModelCost& model,
                                       const Workload& workload);

// The seconds that the busiest of some nodes is expected to read experts for, when `drawn` of all
// are drawn at random: node i has `experts[i]`, each of which takes it `seconds[i]`.
double BusiestExpertsSeconds(const std::vector<int>& experts, const std::vector<double>& seconds,
                             int drawn);

// `units` parts in shares that follow `weights`, each at least one; of equal remainders the first
// gets more. Needs units >= weights.size().
std::vector<int> Shares(int units, const std::vector<double>& weights);

}  // namespace baton::plan
