#include "plan/explain.h"

#include <algorithm>
#include <cmath>

#include "plan/words.h"

namespace baton::plan {
namespace {

constexpr double kTimes = 2;  // how much better a part is assumed to be
// Of a larger plan, the nodes that take longest.
constexpr size_t kNodesToBetter = 6;
constexpr size_t kShardedShown = 4;
constexpr double kLeastGain = 1.005;

DeviceProfile Bettered(DeviceProfile device, Part part) {
  for (TypeRate& rate : device.rates) {
    rate.Scale(part == Part::kCompute ? kTimes : 1, part == Part::kMemoryBandwidth ? kTimes : 1);
  }
  for (ContextRate& context : device.contexts) {
    if (part == Part::kCompute) context.flops_per_s *= kTimes;
    if (part == Part::kCompute) context.query_flops_per_s *= kTimes;
    if (part == Part::kMemoryBandwidth) context.read_bytes_per_s *= kTimes;
  }
  if (part == Part::kCompute) device.attention_flops_per_s *= kTimes;
  if (part == Part::kCompute) device.element_ns /= kTimes;
  if (part == Part::kCompute) device.send_ns /= kTimes;
  if (part == Part::kMemoryBandwidth) device.kv_read_bytes_per_s *= kTimes;
  if (part == Part::kOverhead) device.layer_overhead_us /= kTimes;
  if (part == Part::kMemory)
    device.memory_bytes = static_cast<uint64_t>(kTimes * static_cast<double>(device.memory_bytes));
  return device;
}

// Half of what a part takes is gone when it is twice as good.
StageBound BoundOf(const CostModel& costs, const DeviceProfile& device, const StagePlan& stage,
                   bool prefill) {
  const auto seconds = [&](const DeviceProfile& of) {
    const StageCost cost = costs.CostOf(of, stage.layers);
    return prefill ? cost.prefill_whole_s : cost.decode_step_s;
  };
  StageBound bound{.node = stage.node, .prefill = prefill, .seconds = seconds(device)};
  for (const Part part : {Part::kCompute, Part::kMemoryBandwidth, Part::kOverhead}) {
    const double taken = (bound.seconds - seconds(Bettered(device, part))) / (1 - 1 / kTimes);
    const double share = bound.seconds > 0 ? taken / bound.seconds : 0;
    if (share <= bound.share) continue;
    bound.share = share;
    bound.part = part;
  }
  return bound;
}

void AddBounds(const ClusterProfile& cluster, const CostTable& costs, const Plan& plan,
               bool prefill, std::vector<StageBound>& bounds) {
  const auto& stages = prefill && plan.disaggregated() ? plan.prefill : plan.decode;
  Workload workload = costs.workload();
  workload.chunk_tokens = workload.ChunkOf(workload.prompt_tokens, stages.size());
  const CostModel model(costs.model(), workload);
  const size_t begun = bounds.size();
  const double row_bytes = costs.model().ActivationBytesPerToken(costs.workload());
  for (size_t i = 0; i < stages.size(); ++i) {
    bounds.push_back(BoundOf(model, cluster.FindNode(stages[i].node)->device, stages[i], prefill));
    if (i + 1 == stages.size()) break;
    const double tokens = prefill ? costs.chunk_tokens() : costs.concurrency();
    const LinkProfile* link = cluster.FindLink(stages[i].node, stages[i + 1].node);
    if (link == nullptr) continue;
    const double hop_s = LinkSeconds(*link, tokens * row_bytes);
    bounds.push_back({.node = stages[i].node,
                      .to = stages[i + 1].node,
                      .prefill = prefill,
                      .part = Part::kLink,
                      .seconds = prefill ? costs.chunks() * hop_s : hop_s,
                      .share = 1,
                      .bytes_per_s = link->bytes_per_s});
  }
  const auto slowest = std::max_element(
      bounds.begin() + static_cast<std::ptrdiff_t>(begun), bounds.end(),
      [](const StageBound& a, const StageBound& b) { return a.seconds < b.seconds; });
  if (slowest != bounds.end()) slowest->slowest = true;
}

// The way of the KV: the longest of these.
void AddHandOver(const CostTable& costs, const Plan& plan, std::vector<StageBound>& bounds) {
  if (!plan.disaggregated()) return;
  StageBound bound{
      .prefill = true, .part = Part::kLink, .share = plan.kv_hidden ? 0.0 : 1.0, .hand_over = true};
  const ClusterProfile& cluster = costs.cluster();
  for (const StagePlan& from : plan.prefill) {
    for (const StagePlan& to : plan.decode) {
      const LayerRange layers{std::max(from.layers.first, to.layers.first),
                              std::min(from.layers.last, to.layers.last)};
      const LinkProfile* link = cluster.FindLink(from.node, to.node);
      if (layers.size() <= 0 || from.node == to.node || link == nullptr) continue;
      const double seconds = LinkSeconds(*link, costs.SentTokenBytes() * costs.SentTokens(layers));
      if (seconds <= bound.seconds) continue;
      bound.node = from.node;
      bound.to = to.node;
      bound.seconds = seconds;
      bound.bytes_per_s = link->bytes_per_s;
    }
  }
  if (!bound.to.empty()) bounds.push_back(bound);
}

double ObjectiveSeconds(const Plan& plan, Objective objective) {
  return objective == Objective::kThroughput ? plan.request_s : plan.total_s;
}

// The nodes of the plan, those that take longest first.
std::vector<NodeId> NodesToBetter(const Plan& plan, const Workload& workload) {
  std::vector<std::pair<double, NodeId>> taken;
  for (const NodeId& id : NodesUsed(plan)) {
    double seconds = 0;
    for (const Plan* each : InstancesOf(plan)) {
      for (const StagePlan& stage : each->disaggregated() ? each->prefill : each->decode)
        seconds += stage.node == id ? stage.prefill_s : 0;
      for (const StagePlan& stage : each->decode)
        seconds += stage.node == id ? stage.decode_s * workload.answer_tokens : 0;
    }
    taken.emplace_back(-seconds, id);
  }
  std::sort(taken.begin(), taken.end());
  std::vector<NodeId> nodes;
  for (const auto& [seconds, id] : taken) {
    if (nodes.size() < kNodesToBetter) nodes.push_back(id);
  }
  return nodes;
}

// The pairs of nodes whose link the plan uses.
std::vector<std::pair<NodeId, NodeId>> LinksUsed(const Plan& plan) {
  std::vector<std::pair<NodeId, NodeId>> links;
  const auto add = [&](NodeId a, NodeId b) {
    if (a == b) return;
    if (b < a) std::swap(a, b);
    if (std::find(links.begin(), links.end(), std::pair(a, b)) == links.end())
      links.emplace_back(a, b);
  };
  for (const Plan* each : InstancesOf(plan)) {
    for (const auto* stages : {&each->prefill, &each->decode}) {
      for (size_t i = 0; i + 1 < stages->size(); ++i) add((*stages)[i].node, (*stages)[i + 1].node);
    }
    for (const StagePlan& from : each->prefill) {
      for (const StagePlan& to : each->decode) {
        if (from.layers.first < to.layers.last && to.layers.first < from.layers.last)
          add(from.node, to.node);
      }
    }
  }
  if (links.size() > kNodesToBetter) links.resize(kNodesToBetter);
  return links;
}

class Betterments {
 public:
  Betterments(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
              const NodeId& entry, const Constraints& constraints, const Plan& chosen)
      : cluster_(cluster),
        model_(model),
        workload_(workload),
        entry_(entry),
        constraints_(constraints),
        chosen_(chosen) {}

  std::vector<Upgrade> All() {
    for (const NodeId& id : NodesToBetter(chosen_, workload_)) {
      for (const Part part : {Part::kCompute, Part::kMemoryBandwidth, Part::kMemory}) {
        ClusterProfile better = cluster_;
        for (NodeProfile& node : better.nodes) {
          if (node.id == id) node.device = Bettered(node.device, part);
        }
        Try(better, {.node = id, .part = part});
      }
    }
    for (const auto& [a, b] : LinksUsed(chosen_)) {
      ClusterProfile better = cluster_;
      for (LinkProfile& link : better.links) {
        const bool either = (link.from == a && link.to == b) || (link.from == b && link.to == a);
        if (!either) continue;
        link.bytes_per_s *= kTimes;
        link.rtt_us /= kTimes;
      }
      Try(better, {.node = a, .to = b, .part = Part::kLink});
    }
    std::stable_sort(upgrades_.begin(), upgrades_.end(),
                     [](const Upgrade& a, const Upgrade& b) { return a.gain > b.gain; });
    return std::move(upgrades_);
  }

 private:
  void Try(const ClusterProfile& better, Upgrade upgrade) {
    const auto result = Reconsider(better, model_, workload_, entry_, constraints_, chosen_,
                                   {.gain = 0, .briefly = true});
    if (!result.ok()) return;
    const Plan& plan = result->chosen;
    upgrade.ttft_s = plan.ttft_s;
    upgrade.decode_tokens_per_s = plan.decode_tokens_per_s();
    upgrade.total_s = plan.total_s;
    upgrade.request_s = plan.request_s;
    upgrade.gain = ObjectiveSeconds(chosen_, workload_.objective) /
                   ObjectiveSeconds(plan, workload_.objective);
    if (!(upgrade.gain >= kLeastGain)) return;
    const std::string& name = cluster_.FindNode(upgrade.node)->name;
    const std::string what = upgrade.part == Part::kLink
                                 ? fmt::format("a link twice as good between {} and {}", name,
                                               cluster_.FindNode(upgrade.to)->name)
                                 : fmt::format("twice the {} of {}", NameOf(upgrade.part), name);
    upgrade.words =
        fmt::format("{}: {:.2f} times as good (TTFT {}, {:.1f} tokens/s; {})", what, upgrade.gain,
                    Time(plan.ttft_s), plan.decode_tokens_per_s(), Describe(cluster_, plan));
    upgrades_.push_back(std::move(upgrade));
  }

  const ClusterProfile& cluster_;
  const ModelCost& model_;
  const Workload& workload_;
  const NodeId& entry_;
  const Constraints& constraints_;
  const Plan& chosen_;
  std::vector<Upgrade> upgrades_;
};

// What binds one instance, given its share of the requests.
void AddInstance(const ClusterProfile& cluster, const ModelCost& model, Workload workload,
                 const Plan& instance, std::vector<StageBound>& bounds) {
  workload.concurrency = instance.concurrency;
  workload.slots = instance.slots;
  const CostTable costs(cluster, model, workload);
  AddBounds(cluster, costs, instance, true, bounds);
  AddHandOver(costs, instance, bounds);
  AddBounds(cluster, costs, instance, false, bounds);
}

}  // namespace

std::string_view NameOf(Part part) {
  switch (part) {
    case Part::kCompute:
      return "compute";
    case Part::kMemoryBandwidth:
      return "memory bandwidth";
    case Part::kOverhead:
      return "overhead";
    case Part::kLink:
      return "link";
    case Part::kMemory:
      break;
  }
  return "memory";
}

Explanation Explain(const ClusterProfile& cluster, const ModelCost& model, const Workload& asked,
                    const NodeId& entry, const Constraints& constraints, const Plan& chosen,
                    const ExplainOptions& options) {
  Workload workload = asked;
  workload.kv_type = chosen.kv_type;
  workload.kv_wire_type = chosen.kv_wire_type;
  workload.activation_type = chosen.activation_type;
  Explanation explanation;
  for (const Plan* instance : InstancesOf(chosen))
    AddInstance(cluster, model, workload, *instance, explanation.bounds);
  if (options.upgrades)
    explanation.upgrades = Betterments(cluster, model, asked, entry, constraints, chosen).All();
  if (options.sharded) {
    explanation.sharded = WeighSharded(cluster, model, workload);
    if (explanation.sharded.size() > kShardedShown) explanation.sharded.resize(kShardedShown);
  }
  return explanation;
}

}  // namespace baton::plan
