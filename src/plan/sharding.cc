#include "plan/sharding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "plan/words.h"

namespace baton::plan {
namespace {

constexpr size_t kNodesMax = 8;
// Where more experts are drawn, the busiest node's share is as good as its mean.
constexpr int kDrawnInDetail = 96;

LayerRange AllOf(const ModelCost& model) {
  return {0, model.n_layers()};
}

double ReadRate(const NodeProfile& node, const ModelCost& model) {
  return node.device.RateFor(model.weight_type).read_bytes_per_s;
}

// The nodes that have the model, the quickest readers first.
std::vector<const NodeProfile*> ByRate(const ClusterProfile& cluster, const ModelCost& model) {
  std::vector<const NodeProfile*> nodes;
  for (const NodeProfile& node : cluster.nodes) {
    if (node.has_model) nodes.push_back(&node);
  }
  std::sort(nodes.begin(), nodes.end(), [&](const NodeProfile* a, const NodeProfile* b) {
    const double rate_a = ReadRate(*a, model), rate_b = ReadRate(*b, model);
    return rate_a != rate_b ? rate_a > rate_b : a->id < b->id;
  });
  return nodes;
}

// The slowest message between any two, both ways at once.
double SyncSeconds(const ClusterProfile& cluster, const std::vector<const NodeProfile*>& nodes,
                   double bytes) {
  double slowest = 0;
  for (const NodeProfile* from : nodes) {
    for (const NodeProfile* to : nodes)
      slowest = std::max(slowest, TransferSeconds(cluster, from->id, to->id, bytes));
  }
  return slowest;
}

// For each size the quickest nodes of which all reach each other.
std::vector<std::vector<const NodeProfile*>> Cliques(const ClusterProfile& cluster,
                                                     const ModelCost& model) {
  std::vector<std::vector<const NodeProfile*>> cliques;
  const auto nodes = ByRate(cluster, model);
  for (size_t start = 0; start < std::min(nodes.size(), kNodesMax); ++start) {
    std::vector<const NodeProfile*> clique = {nodes[start]};
    for (size_t next = start + 1; next < nodes.size() && clique.size() < kNodesMax; ++next) {
      clique.push_back(nodes[next]);
      if (!std::isfinite(SyncSeconds(cluster, clique, 1))) {
        clique.pop_back();
        continue;
      }
      cliques.push_back(clique);
    }
  }
  return cliques;
}

struct Lengths {
  double prompt, chunk, chunks, batch, later;
};

Lengths LengthsOf(const Workload& workload) {
  const double prompt = std::max(1, workload.prompt_tokens);
  const double chunk = std::clamp<double>(workload.chunk_tokens, 1, prompt);
  return {prompt, chunk, std::ceil(prompt / chunk),
          static_cast<double>(std::max(1, workload.concurrency)),
          static_cast<double>(std::max(0, workload.answer_tokens - 1))};
}

void Finish(const ClusterProfile& cluster, const Lengths& lengths, ShardedGroup& group) {
  group.total_s = group.prefill_s + lengths.later * group.decode_step_s;
  std::string names;
  for (size_t i = 0; i < group.nodes.size(); ++i)
    names += fmt::format("{}{} ({})", i == 0 ? "" : ", ", cluster.FindNode(group.nodes[i])->name,
                         group.units[i]);
  const auto pays = [](bool does) { return does ? "pays" : "does not pay"; };
  group.words = fmt::format(
      "{} over {}: it {} in prefill and {} in decode; this program cannot run it yet",
      group.kind == Sharding::kTensor ? "each layer split by KV heads" : "experts split", names,
      pays(group.pays_in_prefill), pays(group.pays_in_decode));
}

// Every node computes its part of each matrix, between two exchanges of rows per layer.
std::optional<ShardedGroup> TensorGroup(const ClusterProfile& cluster, const ModelCost& model,
                                        const Workload& workload,
                                        const std::vector<const NodeProfile*>& nodes) {
  if (model.kv_heads < static_cast<int>(nodes.size())) return std::nullopt;
  const Lengths lengths = LengthsOf(workload);
  const CostModel costs(model, workload);
  const double row_bytes = model.ActivationBytesPerToken(workload);
  const uint64_t whole_bytes = costs.MemoryOf(AllOf(model));
  std::vector<double> rates;
  for (const NodeProfile* node : nodes) rates.push_back(ReadRate(*node, model));
  ShardedGroup group{.kind = Sharding::kTensor, .units = Shares(model.kv_heads, rates)};
  double prefill_s = 0, decode_s = 0;
  double alone_prefill_s = std::numeric_limits<double>::infinity(),
         alone_decode_s = alone_prefill_s;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const double share = static_cast<double>(group.units[i]) / model.kv_heads;
    const DeviceProfile& device = nodes[i]->device;
    const double overhead_s = model.n_layers() * device.layer_overhead_us * 1e-6;
    const StageCost whole = costs.CostOf(device, AllOf(model));
    const auto part = [&](double seconds, double steps) {
      return share * (seconds - steps * overhead_s) + steps * overhead_s;
    };
    prefill_s = std::max(prefill_s, part(whole.prefill_whole_s, lengths.chunks));
    decode_s = std::max(decode_s, part(whole.decode_step_s, 1));
    alone_prefill_s = std::min(alone_prefill_s, whole.prefill_whole_s);
    alone_decode_s = std::min(alone_decode_s, whole.decode_step_s);
    group.nodes.push_back(nodes[i]->id);
    group.memory_bytes.push_back(static_cast<uint64_t>(share * static_cast<double>(whole_bytes)) +
                                 1);
    if (group.memory_bytes.back() > device.memory_bytes) return std::nullopt;
  }
  group.decode_sync_s = SyncSeconds(cluster, nodes, lengths.batch * row_bytes);
  group.prefill_sync_s = SyncSeconds(cluster, nodes, lengths.chunk * row_bytes);
  const double syncs = 2.0 * model.n_layers();
  group.decode_step_s = decode_s + syncs * group.decode_sync_s;
  group.prefill_s = prefill_s + lengths.chunks * syncs * group.prefill_sync_s;
  group.pays_in_decode = group.decode_step_s < alone_decode_s;
  group.pays_in_prefill = group.prefill_s < alone_prefill_s;
  Finish(cluster, lengths, group);
  return group;
}

int DrawnBy(const ModelCost& model, double tokens) {
  const double missed =
      std::pow(1 - static_cast<double>(model.experts_used) / model.experts, tokens);
  return std::clamp(static_cast<int>(std::lround(model.experts * (1 - missed))), 1, model.experts);
}

// The first node has all but the experts, of which each has some.
std::optional<ShardedGroup> ExpertGroup(const ClusterProfile& cluster, const ModelCost& model,
                                        const Workload& workload,
                                        const std::vector<const NodeProfile*>& nodes) {
  if (model.experts < static_cast<int>(nodes.size()) || model.layer_active_bytes.empty())
    return std::nullopt;
  const Lengths lengths = LengthsOf(workload);
  const double row_bytes = model.ActivationBytesPerToken(workload);
  std::vector<double> rates;
  for (const NodeProfile* node : nodes) rates.push_back(ReadRate(*node, model));
  ShardedGroup group{.kind = Sharding::kExpert, .units = Shares(model.experts, rates)};

  // The head: the same model without experts.
  ModelCost head = model;
  double expert_bytes = 0, layers_with_experts = 0;
  for (int layer = 0; layer < model.n_layers(); ++layer) {
    const double shared = model.SharedBytes(layer);
    const auto at = static_cast<size_t>(layer);
    const double of_layer = static_cast<double>(model.layer_weight_bytes[at]) - shared;
    expert_bytes += of_layer / model.experts;
    layers_with_experts += of_layer > 0 ? 1 : 0;
    head.layer_weight_bytes[at] = static_cast<uint64_t>(shared);
  }
  head.experts = head.experts_used = 0;
  head.layer_active_bytes.clear();
  const CostModel costs(head, workload);
  const StageCost head_cost = costs.CostOf(nodes[0]->device, AllOf(model));
  const StageCost alone = CostOf(nodes[0]->device, model, AllOf(model), workload);

  std::vector<double> seconds;
  for (size_t i = 0; i < nodes.size(); ++i) {
    seconds.push_back(expert_bytes / rates[i]);
    const double bytes = group.units[i] * expert_bytes +
                         (i == 0 ? static_cast<double>(costs.MemoryOf(AllOf(head))) : 64e6);
    group.nodes.push_back(nodes[i]->id);
    group.memory_bytes.push_back(static_cast<uint64_t>(bytes));
    if (group.memory_bytes.back() > nodes[i]->device.memory_bytes) return std::nullopt;
  }
  group.decode_sync_s = SyncSeconds(cluster, nodes, lengths.batch * row_bytes);
  group.prefill_sync_s = SyncSeconds(cluster, nodes, lengths.chunk * row_bytes);
  group.decode_step_s = head_cost.decode_step_s +
                        BusiestExpertsSeconds(group.units, seconds, DrawnBy(model, lengths.batch)) +
                        2 * layers_with_experts * group.decode_sync_s;
  group.prefill_s =
      head_cost.prefill_whole_s +
      lengths.chunks * (BusiestExpertsSeconds(group.units, seconds, DrawnBy(model, lengths.chunk)) +
                        2 * layers_with_experts * group.prefill_sync_s);
  group.pays_in_decode = group.decode_step_s < alone.decode_step_s;
  group.pays_in_prefill = group.prefill_s < alone.prefill_whole_s;
  Finish(cluster, lengths, group);
  return group;
}

// The chance that of `drawn` experts no node gets more than its most.
double ChanceWithin(const std::vector<int>& experts, const std::vector<int>& most, int drawn) {
  // Draws node after node: log-free, as a product of ratios, would lose digits; doubles hold
  // C(256, 96) with ease.
  std::vector<double> ways(static_cast<size_t>(drawn) + 1, 0.0);
  ways[0] = 1;
  int all = 0;
  for (size_t i = 0; i < experts.size(); ++i) {
    std::vector<double> next(ways.size(), 0.0);
    double choose = 1;
    for (int own = 0; own <= std::min({most[i], experts[i], drawn}); ++own) {
      for (int before = 0; before + own <= drawn; ++before)
        next[static_cast<size_t>(before + own)] += ways[static_cast<size_t>(before)] * choose;
      choose = choose * (experts[i] - own) / (own + 1);
    }
    ways = std::move(next);
    all += experts[i];
  }
  double total = 1;
  for (int i = 0; i < drawn; ++i) total = total * (all - i) / (i + 1);
  return ways[static_cast<size_t>(drawn)] / total;
}

}  // namespace

std::vector<int> Shares(int units, const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int> shares;
  std::vector<std::pair<double, size_t>> rests;
  int given = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double wanted = sum > 0
                              ? units * weights[i] / sum
                              : static_cast<double>(units) / static_cast<double>(weights.size());
    shares.push_back(std::max(1, static_cast<int>(wanted)));
    rests.emplace_back(shares.back() - wanted, i);
    given += shares.back();
  }
  std::sort(rests.begin(), rests.end());
  for (size_t i = 0; given < units; i = (i + 1) % rests.size(), ++given) ++shares[rests[i].second];
  while (given > units) {  // what the least were given, the largest lacks
    --*std::max_element(shares.begin(), shares.end());
    --given;
  }
  return shares;
}

double BusiestExpertsSeconds(const std::vector<int>& experts, const std::vector<double>& seconds,
                             int drawn) {
  const int all = std::accumulate(experts.begin(), experts.end(), 0);
  if (drawn > kDrawnInDetail || drawn >= all) {
    double busiest = 0;
    for (size_t i = 0; i < experts.size(); ++i)
      busiest = std::max(busiest, seconds[i] * experts[i] * drawn / all);
    return busiest;
  }
  // The mean of the largest: the chance to exceed each value that it can have, times the step to
  // the next.
  std::vector<double> values;
  for (size_t i = 0; i < experts.size(); ++i) {
    for (int own = 1; own <= std::min(experts[i], drawn); ++own) values.push_back(own * seconds[i]);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  double mean = 0, before = 0;
  for (const double value : values) {
    std::vector<int> most;
    for (const double each : seconds)
      most.push_back(static_cast<int>(std::floor(before / each * (1 + 1e-12))));
    mean += (value - before) * (1 - ChanceWithin(experts, most, drawn));
    before = value;
  }
  return mean;
}

std::vector<ShardedGroup> WeighSharded(const ClusterProfile& cluster, const ModelCost& model,
                                       const Workload& workload) {
  std::vector<ShardedGroup> groups;
  for (const auto& nodes : Cliques(cluster, model)) {
    if (auto group = TensorGroup(cluster, model, workload, nodes))
      groups.push_back(*std::move(group));
    if (auto group = ExpertGroup(cluster, model, workload, nodes))
      groups.push_back(*std::move(group));
  }
  std::stable_sort(groups.begin(), groups.end(), [](const ShardedGroup& a, const ShardedGroup& b) {
    return a.total_s < b.total_s;
  });
  return groups;
}

}  // namespace baton::plan
