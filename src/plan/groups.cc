#include "plan/groups.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kTokenMessageBytes = 64;

double ChunkTokens(const Workload& workload) {
  return std::max(1, std::min(workload.chunk_tokens, workload.prompt_tokens));
}

double RowBytes(const ModelCost& model) {
  return 4.0 * model.hidden_width;
}

double Hop(const CostTable& costs, size_t from, size_t to, double bytes) {
  const auto& nodes = costs.cluster().nodes;
  return TransferSeconds(costs.cluster(), nodes[from].id, nodes[to].id, bytes);
}

double StageValue(const StageCost& cost, Goal goal) {
  return goal == Goal::kDecodeSum ? cost.decode_step_s : cost.prefill_chunk_s;
}

double Combine(double before, double stage, Goal goal) {
  return goal == Goal::kDecodeSum ? before + stage : std::max(before, stage);
}

}  // namespace

CostTable::CostTable(const ClusterProfile& cluster, const ModelCost& model,
                     const Workload& workload)
    : cluster_(cluster), model_(model), workload_(workload) {
  const int layers = model.n_layers();
  costs_.resize(cluster.nodes.size() * static_cast<size_t>(layers) *
                static_cast<size_t>(layers + 1));
  const CostModel cost(model, workload);
  for (size_t node = 0; node < cluster.nodes.size(); ++node) {
    for (int first = 0; first < layers; ++first) {
      for (int last = first + 1; last <= layers; ++last) {
        const LayerRange range{first, last};
        costs_[Index(node, range)] = cost.CostOf(cluster.nodes[node].device, range);
      }
    }
  }
}

size_t CostTable::Index(size_t node, LayerRange layers) const {
  const auto count = static_cast<size_t>(model_.n_layers());
  return (node * count + static_cast<size_t>(layers.first)) * (count + 1) +
         static_cast<size_t>(layers.last);
}

const StageCost& CostTable::At(size_t node, LayerRange layers) const {
  return costs_[Index(node, layers)];
}

bool CostTable::Fits(size_t node, LayerRange layers) const {
  return At(node, layers).memory_bytes <= cluster_.nodes[node].device.memory_bytes;
}

std::optional<Group> Partition(const CostTable& costs, const std::vector<size_t>& order,
                               Goal goal) {
  const int layers = costs.model().n_layers();
  const auto stages = static_cast<int>(order.size());
  if (stages > layers) return std::nullopt;
  // best[s][l]: value of the first s nodes holding the first l layers; cut[s][l]: where the last of
  // them begins.
  std::vector<std::vector<double>> best(
      stages + 1, std::vector<double>(static_cast<size_t>(layers) + 1, kInfinity));
  std::vector<std::vector<int>> cut(stages + 1, std::vector<int>(layers + 1, 0));
  best[0][0] = 0;
  for (int s = 1; s <= stages; ++s) {
    for (int last = s; last <= layers - (stages - s); ++last) {
      for (int first = s - 1; first < last; ++first) {
        if (best[s - 1][first] == kInfinity) continue;
        const LayerRange range{first, last};
        if (!costs.Fits(order[s - 1], range)) continue;
        const double value =
            Combine(best[s - 1][first], StageValue(costs.At(order[s - 1], range), goal), goal);
        if (value >= best[s][last]) continue;
        best[s][last] = value;
        cut[s][last] = first;
      }
    }
  }
  if (best[stages][layers] == kInfinity) return std::nullopt;
  Group group(order.size());
  for (int s = stages, last = layers; s > 0; last = cut[s][last], --s)
    group[s - 1] = {order[s - 1], {cut[s][last], last}};
  return group;
}

double PrefillSeconds(const CostTable& costs, const Group& group) {
  if (group.size() == 1) return costs.At(group[0].node, group[0].layers).prefill_whole_s;
  const double chunk = ChunkTokens(costs.workload());
  const double chunks = std::ceil(std::max(1, costs.workload().prompt_tokens) / chunk);
  const double hop_bytes = chunk * RowBytes(costs.model());
  double fill = 0;
  double slowest = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    const double stage = costs.At(group[i].node, group[i].layers).prefill_chunk_s;
    const double hop =
        i + 1 < group.size() ? Hop(costs, group[i].node, group[i + 1].node, hop_bytes) : 0;
    fill += stage + hop;
    slowest = std::max({slowest, stage, hop});
  }
  return fill + (chunks - 1) * slowest;
}

double DecodeSeconds(const CostTable& costs, const Group& group) {
  double sum = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    sum += costs.At(group[i].node, group[i].layers).decode_step_s;
    if (i + 1 < group.size())
      sum += Hop(costs, group[i].node, group[i + 1].node, RowBytes(costs.model()));
  }
  if (group.size() > 1)
    sum += Hop(costs, group.back().node, group.front().node, kTokenMessageBytes);
  return sum;
}

}  // namespace baton::plan
