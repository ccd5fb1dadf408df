#include "plan/constraints.h"

#include <algorithm>

#include "plan/boundaries.h"
#include "plan/words.h"

namespace baton::plan {
namespace {

Result<std::vector<size_t>> IndicesOf(const ClusterProfile& cluster,
                                      const std::vector<NodeId>& wanted) {
  std::vector<size_t> indices;
  for (const NodeId& id : wanted) {
    const NodeProfile* node = cluster.FindNode(id);
    if (node == nullptr)
      return MakeError(Code::kInvalidArgument, "node '{}' is not in the cluster", id.Short());
    if (!node->has_model)
      return MakeError(Code::kFailedPrecondition,
                       "node '{}' does not have the model on its disk: copy the file there",
                       node->name);
    const auto index = static_cast<size_t>(node - cluster.nodes.data());
    if (std::find(indices.begin(), indices.end(), index) != indices.end())
      return MakeError(Code::kInvalidArgument, "node '{}' is named twice", node->name);
    indices.push_back(index);
  }
  return indices;
}

Result<Group> SplitAsTold(const CostTable& costs, const std::vector<size_t>& order,
                          const std::vector<int>& split) {
  if (split.size() != order.size())
    return MakeError(Code::kInvalidArgument, "{} layer counts for {} nodes", split.size(),
                     order.size());
  Group group;
  int64_t first = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (split[i] <= 0) return MakeError(Code::kInvalidArgument, "a stage of {} layers", split[i]);
    const int64_t last = first + split[i];
    if (last <= costs.model().n_layers())
      group.push_back({order[i], {static_cast<int32_t>(first), static_cast<int32_t>(last)}});
    first = last;
  }
  if (first != costs.model().n_layers())
    return MakeError(Code::kInvalidArgument, "the split covers {} layers, the model has {}", first,
                     costs.model().n_layers());
  return group;
}

// The order that the owner says, if the model fits it.
Result<std::vector<size_t>> OrderOf(const CostTable& costs, const std::vector<NodeId>& on) {
  BATON_ASSIGN_OR_RETURN(auto order, IndicesOf(costs.cluster(), on));
  if (!DecodeCuts(costs, order))
    return MakeError(Code::kFailedPrecondition,
                     "the model does not fit the memory of the {} nodes named", on.size());
  return order;
}

}  // namespace

Result<SearchSpace> SpaceOf(const CostTable& costs, const Constraints& constraints) {
  const ClusterProfile& cluster = costs.cluster();
  SearchSpace space;
  for (size_t i = 0; i < cluster.nodes.size(); ++i) {
    if (cluster.nodes[i].has_model) space.nodes.push_back(i);
  }
  if (!constraints.nodes.empty()) {
    BATON_ASSIGN_OR_RETURN(space.nodes, IndicesOf(cluster, constraints.nodes));
  }
  if (!constraints.prefill_on.empty()) {
    BATON_ASSIGN_OR_RETURN(space.prefill, OrderOf(costs, constraints.prefill_on));
  }
  if (!constraints.split.empty()) {
    const auto& on = constraints.decode_on.empty() ? constraints.nodes : constraints.decode_on;
    BATON_ASSIGN_OR_RETURN(const auto order, IndicesOf(cluster, on));
    BATON_ASSIGN_OR_RETURN(space.decode_group, SplitAsTold(costs, order, constraints.split));
  } else if (!constraints.decode_on.empty()) {
    BATON_ASSIGN_OR_RETURN(space.decode, OrderOf(costs, constraints.decode_on));
  }
  return space;
}

Error NothingFits(const CostTable& costs) {
  const ClusterProfile& cluster = costs.cluster();
  const LayerRange all{0, costs.model().n_layers()};
  uint64_t have = 0;
  size_t holders = 0;
  for (const NodeProfile& node : cluster.nodes) {
    if (!node.has_model) continue;
    ++holders;
    have += node.device.memory_bytes;
  }
  if (holders == 0)
    return MakeError(Code::kFailedPrecondition,
                     "none of the {} nodes has '{}' on its disk: copy the file to one",
                     cluster.nodes.size(), costs.model().name);
  const uint64_t needed = MemoryFor(costs.model(), all, costs.workload());
  return MakeError(Code::kFailedPrecondition,
                   "'{}' needs {} with {} tokens of context; the {} nodes that have it offer {}{}: "
                   "add a device, or ask for less context",
                   costs.model().name, Bytes(static_cast<double>(needed)),
                   costs.workload().context_tokens, holders, Bytes(static_cast<double>(have)),
                   have < needed ? "" : ", but not on nodes that are linked in a chain");
}

}  // namespace baton::plan
