// Groups: ordered stages that cover all layers once. For a given order of nodes the layer
// boundaries come from dynamic programming. Pure.
#pragma once

#include <optional>
#include <vector>

#include "plan/cost.h"

namespace baton::plan {

struct GroupStage {
  size_t node = 0;  // index into ClusterProfile::nodes
  LayerRange layers;
};
using Group = std::vector<GroupStage>;

// Costs of every (node, layer range), computed once per planning.
class CostTable {
 public:
  CostTable(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload);
  const StageCost& At(size_t node, LayerRange layers) const;
  bool Fits(size_t node, LayerRange layers) const;

  const ClusterProfile& cluster() const { return cluster_; }
  const ModelCost& model() const { return model_; }
  const Workload& workload() const { return workload_; }

 private:
  size_t Index(size_t node, LayerRange layers) const;
  const ClusterProfile& cluster_;
  const ModelCost& model_;
  const Workload& workload_;
  std::vector<StageCost> costs_;
};

enum class Goal {
  kDecodeSum,      // least sum of decode steps: one stream
  kPrefillLargest  // least bottleneck of prefill chunks: a pipeline full of them
};

// The best boundaries for `order`, every node with at least one layer; nothing if it does not fit.
std::optional<Group> Partition(const CostTable& costs, const std::vector<size_t>& order, Goal goal);

// Seconds to compute the prompt on `group`, chunks in a pipeline.
double PrefillSeconds(const CostTable& costs, const Group& group);
// Seconds per generated token of one stream, hops included.
double DecodeSeconds(const CostTable& costs, const Group& group);

}  // namespace baton::plan
