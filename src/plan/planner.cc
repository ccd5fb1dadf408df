#include "plan/planner.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "plan/groups.h"

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Every order of every subset is weighed up to here; of a larger cluster, the nodes that decode
// fastest and those that prefill fastest.
constexpr size_t kNodesWeighed = 6;
constexpr size_t kAlternativesShown = 16;
constexpr double kTokenMessageBytes = 64;

// --- Words ---

std::string Bytes(double bytes) {
  return bytes >= 1e9 ? fmt::format("{:.1f} GB", bytes / 1e9)
                      : fmt::format("{:.0f} MB", bytes / 1e6);
}

std::string Time(double seconds) {
  return seconds >= 1 ? fmt::format("{:.2f} s", seconds) : fmt::format("{:.1f} ms", seconds * 1e3);
}

std::string NamesOf(const ClusterProfile& cluster, const std::vector<StagePlan>& stages) {
  std::string names;
  for (const StagePlan& stage : stages) {
    if (!names.empty()) names += " + ";
    names += cluster.FindNode(stage.node)->name;
  }
  return names;
}

std::string Describe(const ClusterProfile& cluster, const Plan& plan) {
  if (plan.disaggregated())
    return fmt::format("prefill on {}, decode on {}", NamesOf(cluster, plan.prefill),
                       NamesOf(cluster, plan.decode));
  if (plan.decode.size() == 1) return fmt::format("all on {}", NamesOf(cluster, plan.decode));
  return fmt::format("layers split over {}", NamesOf(cluster, plan.decode));
}

// --- One plan ---

LayerRange Hull(LayerRange a, LayerRange b) {
  return {std::min(a.first, b.first), std::max(a.last, b.last)};
}

// What each node of the plan must hold, whatever its roles.
std::map<size_t, LayerRange> Holdings(const Group& prefill, const Group& decode) {
  std::map<size_t, LayerRange> holdings;
  for (const Group* group : {&prefill, &decode}) {
    for (const GroupStage& stage : *group) {
      const auto [at, fresh] = holdings.try_emplace(stage.node, stage.layers);
      if (!fresh) at->second = Hull(at->second, stage.layers);
    }
  }
  return holdings;
}

std::vector<StagePlan> ToStages(const CostTable& costs, const Group& group,
                                const std::map<size_t, LayerRange>& holdings) {
  std::vector<StagePlan> stages;
  for (const GroupStage& stage : group) {
    const StageCost& cost = costs.At(stage.node, stage.layers);
    stages.push_back({.node = costs.cluster().nodes[stage.node].id,
                      .layers = stage.layers,
                      .memory_bytes = costs.At(stage.node, holdings.at(stage.node)).memory_bytes,
                      .prefill_s = cost.prefill_whole_s,
                      .decode_s = cost.decode_step_s});
  }
  return stages;
}

// Empty where they have none in common.
LayerRange Overlap(LayerRange a, LayerRange b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

// The worst exposure over all pairs of a prefill and a decode stage on different nodes.
Exposure ExposureBetween(const CostTable& costs, const Group& prefill, const Group& decode,
                         double prefill_s, int tokens) {
  const ClusterProfile& cluster = costs.cluster();
  const ModelCost& model = costs.model();
  const double unit_tokens = std::min(tokens, costs.workload().chunk_tokens);
  const double layer_token_bytes =
      static_cast<double>(model.KvBytesPerTokenPerLayer(costs.workload().TravelType()));
  Exposure worst{0, true};
  for (const GroupStage& from : prefill) {
    for (const GroupStage& to : decode) {
      const LayerRange layers = Overlap(from.layers, to.layers);
      if (layers.size() <= 0 || from.node == to.node) continue;
      const LinkProfile* link =
          cluster.FindLink(cluster.nodes[from.node].id, cluster.nodes[to.node].id);
      if (link == nullptr) return {kInfinity, false};
      const double sent_tokens = model.SeenTokens(layers, tokens);
      Exposure exposure = ExposedSend(layer_token_bytes * sent_tokens, link->bytes_per_s, prefill_s,
                                      layers.size(), layer_token_bytes * unit_tokens);
      exposure.seconds += link->rtt_us * 0.5e-6;
      worst.seconds = std::max(worst.seconds, exposure.seconds);
      worst.hidden = worst.hidden && exposure.hidden;
    }
  }
  return worst;
}

// Nothing if a node's memory does not hold its roles together.
std::optional<Plan> Evaluate(const CostTable& costs, const Group& prefill, const Group& decode,
                             const NodeId& entry) {
  const auto holdings = Holdings(prefill, decode);
  for (const auto& [node, layers] : holdings) {
    if (!costs.Fits(node, layers)) return std::nullopt;
  }
  const Group& computing = prefill.empty() ? decode : prefill;
  Plan plan;
  plan.prefill = ToStages(costs, prefill, holdings);
  plan.decode = ToStages(costs, decode, holdings);
  plan.prefill_s = PrefillSeconds(costs, computing);
  const Exposure exposure =
      ExposureBetween(costs, prefill, decode, plan.prefill_s, costs.workload().prompt_tokens);
  plan.exposed_s = exposure.seconds;
  plan.kv_hidden = !prefill.empty() && exposure.hidden;
  const NodeId& sampler = costs.cluster().nodes[computing.back().node].id;
  plan.ttft_s =
      plan.prefill_s + TransferSeconds(costs.cluster(), sampler, entry, kTokenMessageBytes);
  plan.decode_step_s = DecodeSeconds(costs, decode);
  plan.total_s = plan.ttft_s + plan.exposed_s +
                 std::max(0, costs.workload().answer_tokens - 1) * plan.decode_step_s;
  if (!std::isfinite(plan.total_s)) return std::nullopt;
  return plan;
}

// --- The search ---

double Score(const Plan& plan, Objective objective) {
  if (objective == Objective::kThroughput) {
    double slowest = 0;
    for (const StagePlan& stage : plan.decode) slowest = std::max(slowest, stage.decode_s);
    return slowest;
  }
  return plan.total_s;
}

size_t NodeCount(const Plan& plan) {
  std::set<NodeId> nodes;
  for (const StagePlan& stage : plan.prefill) nodes.insert(stage.node);
  for (const StagePlan& stage : plan.decode) nodes.insert(stage.node);
  return nodes.size();
}

// A total order: score, then fewer nodes, then the nodes themselves.
bool Better(const Plan& a, const Plan& b, Objective objective) {
  if (objective == Objective::kFit && NodeCount(a) != NodeCount(b))
    return NodeCount(a) < NodeCount(b);
  const double score_a = Score(a, objective);
  const double score_b = Score(b, objective);
  if (score_a != score_b) return score_a < score_b;
  if (NodeCount(a) != NodeCount(b)) return NodeCount(a) < NodeCount(b);
  const auto nodes = [](const Plan& plan) {
    std::vector<NodeId> ids;
    for (const StagePlan& stage : plan.prefill) ids.push_back(stage.node);
    for (const StagePlan& stage : plan.decode) ids.push_back(stage.node);
    return ids;
  };
  return nodes(a) < nodes(b);
}

// Every order of every subset of `nodes`.
void ForEachOrder(const std::vector<size_t>& nodes, std::vector<size_t>& order,
                  const std::function<void(const std::vector<size_t>&)>& visit) {
  if (!order.empty()) visit(order);
  for (const size_t node : nodes) {
    if (std::find(order.begin(), order.end(), node) != order.end()) continue;
    order.push_back(node);
    ForEachOrder(nodes, order, visit);
    order.pop_back();
  }
}

// The nodes worth weighing: those that have the model, and of many the fastest at either phase.
std::vector<size_t> Weighed(const ClusterProfile& cluster, const ModelCost& model) {
  std::vector<size_t> nodes;
  for (size_t i = 0; i < cluster.nodes.size(); ++i) {
    if (cluster.nodes[i].has_model) nodes.push_back(i);
  }
  if (nodes.size() <= kNodesWeighed) return nodes;
  const auto rate = [&](size_t i) { return cluster.nodes[i].device.RateFor(model.weight_type); };
  std::vector<size_t> chosen;
  const auto take_best = [&](auto value, size_t upto) {
    std::stable_sort(nodes.begin(), nodes.end(),
                     [&](size_t a, size_t b) { return value(a) > value(b); });
    for (const size_t node : nodes) {
      if (chosen.size() >= upto) return;
      if (std::find(chosen.begin(), chosen.end(), node) == chosen.end()) chosen.push_back(node);
    }
  };
  take_best([&](size_t i) { return rate(i).read_bytes_per_s; }, kNodesWeighed / 2);
  take_best([&](size_t i) { return rate(i).matmul_flops_per_s; }, kNodesWeighed);
  return chosen;
}

// For each set of nodes, its best group for `goal`.
std::vector<Group> BestGroups(const CostTable& costs, const std::vector<size_t>& nodes, Goal goal) {
  std::map<std::vector<size_t>, std::pair<double, Group>> best;
  std::vector<size_t> order;
  ForEachOrder(nodes, order, [&](const std::vector<size_t>& visited) {
    const auto group = Partition(costs, visited, goal);
    if (!group) return;
    const double value =
        goal == Goal::kDecodeSum ? DecodeSeconds(costs, *group) : PrefillSeconds(costs, *group);
    std::vector<size_t> key = visited;
    std::sort(key.begin(), key.end());
    const auto [at, fresh] = best.try_emplace(key, value, *group);
    if (!fresh && value < at->second.first) at->second = {value, *group};
  });
  std::vector<Group> groups;
  for (auto& [key, item] : best) groups.push_back(std::move(item.second));
  return groups;
}

// Where the nodes weighed cannot hold the model: the largest memories, as many as it takes.
std::vector<Group> FittingGroups(const CostTable& costs) {
  const auto& all = costs.cluster().nodes;
  std::vector<size_t> nodes;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].has_model) nodes.push_back(i);
  }
  std::stable_sort(nodes.begin(), nodes.end(), [&](size_t a, size_t b) {
    return all[a].device.memory_bytes > all[b].device.memory_bytes;
  });
  const size_t most = std::min(nodes.size(), static_cast<size_t>(costs.model().n_layers()));
  std::vector<Group> groups;
  std::vector<size_t> order;
  for (size_t i = 0; i < most && groups.empty(); ++i) {
    order.push_back(nodes[i]);
    for (const Goal goal : {Goal::kDecodeSum, Goal::kPrefillLargest}) {
      if (auto group = Partition(costs, order, goal)) groups.push_back(*std::move(group));
    }
  }
  return groups;
}

struct Candidates {
  std::vector<Group> prefill;  // the empty group first: decode computes the prompt itself
  std::vector<Group> decode;
};

Candidates FreeCandidates(const CostTable& costs, const std::vector<size_t>& nodes) {
  Candidates candidates;
  const std::vector<Group> balanced = BestGroups(costs, nodes, Goal::kPrefillLargest);
  candidates.decode = BestGroups(costs, nodes, Goal::kDecodeSum);
  candidates.prefill.emplace_back();
  candidates.prefill.insert(candidates.prefill.end(), balanced.begin(), balanced.end());
  for (const Group& group : balanced) {
    if (group.size() > 1) candidates.decode.push_back(group);
  }
  return candidates;
}

// --- Constraints ---

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
  int first = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (split[i] <= 0) return MakeError(Code::kInvalidArgument, "a stage of {} layers", split[i]);
    group.push_back({order[i], {first, first + split[i]}});
    first += split[i];
  }
  if (first != costs.model().n_layers())
    return MakeError(Code::kInvalidArgument, "the split covers {} layers, the model has {}", first,
                     costs.model().n_layers());
  return group;
}

// The groups that the owner's word allows for one role.
Result<std::vector<Group>> Told(const CostTable& costs, const std::vector<NodeId>& on,
                                const std::vector<int>& split) {
  BATON_ASSIGN_OR_RETURN(const auto order, IndicesOf(costs.cluster(), on));
  std::vector<Group> groups;
  if (!split.empty()) {
    BATON_ASSIGN_OR_RETURN(Group group, SplitAsTold(costs, order, split));
    groups.push_back(std::move(group));
    return groups;
  }
  for (const Goal goal : {Goal::kDecodeSum, Goal::kPrefillLargest}) {
    if (auto group = Partition(costs, order, goal)) groups.push_back(*std::move(group));
  }
  if (groups.empty())
    return MakeError(Code::kFailedPrecondition,
                     "the model does not fit the memory of the {} nodes named", on.size());
  return groups;
}

Result<Candidates> CandidatesFor(const CostTable& costs, const Constraints& constraints) {
  const ClusterProfile& cluster = costs.cluster();
  std::vector<size_t> nodes = Weighed(cluster, costs.model());
  if (!constraints.nodes.empty()) {
    BATON_ASSIGN_OR_RETURN(nodes, IndicesOf(cluster, constraints.nodes));
  }
  Candidates candidates = FreeCandidates(costs, nodes);
  if (candidates.decode.empty() && constraints.nodes.empty())
    candidates.decode = FittingGroups(costs);
  if (!constraints.decode_on.empty()) {
    BATON_ASSIGN_OR_RETURN(candidates.decode,
                           Told(costs, constraints.decode_on, constraints.split));
  } else if (!constraints.split.empty()) {
    BATON_ASSIGN_OR_RETURN(candidates.decode, Told(costs, constraints.nodes, constraints.split));
  }
  // Whoever says how the layers are split means that to be all.
  if (!constraints.split.empty()) candidates.prefill = {Group()};
  if (!constraints.prefill_on.empty()) {
    BATON_ASSIGN_OR_RETURN(candidates.prefill, Told(costs, constraints.prefill_on, {}));
  }
  return candidates;
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
  return MakeError(Code::kFailedPrecondition,
                   "'{}' needs {} with {} tokens of context; the {} nodes that have it offer {}: "
                   "add a device, or ask for less context",
                   costs.model().name,
                   Bytes(static_cast<double>(MemoryFor(costs.model(), all, costs.workload()))),
                   costs.workload().context_tokens, holders, Bytes(static_cast<double>(have)));
}

// The same stages twice are one plan: a group that hands over to itself computes its own prompts.
bool SameStages(const std::vector<StagePlan>& a, const std::vector<StagePlan>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.node == y.node && x.layers == y.layers;
  });
}

bool SameArrangement(const Plan& a, const Plan& b) {
  return SameStages(a.prefill, b.prefill) && SameStages(a.decode, b.decode);
}

void AddIfNew(std::vector<Plan>& plans, Plan plan) {
  const bool known = std::any_of(plans.begin(), plans.end(),
                                 [&](const Plan& other) { return SameArrangement(plan, other); });
  if (!known) plans.push_back(std::move(plan));
}

// --- Reasons ---

std::string WhyChosen(const ClusterProfile& cluster, const Plan& plan,
                      const std::vector<Plan>& others) {
  const Plan* single = nullptr;
  for (const Plan& other : others) {
    if (NodeCount(other) == 1) {
      single = &other;
      break;
    }
  }
  const std::string what = Describe(cluster, plan);
  if (NodeCount(plan) == 1 && others.empty())
    return fmt::format("{}: no other node has the model or the memory for it", what);
  if (NodeCount(plan) == 1)
    return fmt::format("{} takes {}; the next best, {}, takes {}", what, Time(plan.total_s),
                       Describe(cluster, others.front()), Time(others.front().total_s));
  if (single == nullptr)
    return fmt::format("{}: no single node has the memory for the whole model", what);
  return fmt::format("{} takes {}, {:.2f} times as fast as {} alone ({})", what, Time(plan.total_s),
                     single->total_s / plan.total_s, NamesOf(cluster, single->decode),
                     Time(single->total_s));
}

std::string AsTold(const ClusterProfile& cluster, const Plan& plan) {
  return fmt::format("{}, as its owner says; predicted {}", Describe(cluster, plan),
                     Time(plan.total_s));
}

std::string WhyLost(const Plan& plan, const Plan& chosen, const Workload& workload) {
  const double prefill = plan.prefill_s - chosen.prefill_s;
  const double exposed = plan.exposed_s - chosen.exposed_s;
  const double decode = (plan.decode_step_s - chosen.decode_step_s) * workload.answer_tokens;
  const double most = std::max({prefill, exposed, decode});
  const double factor = plan.total_s / chosen.total_s;
  if (most <= 0 || factor < 1.0005) return "as fast, but it takes more nodes";
  const char* part = most == prefill   ? "computing the prompt"
                     : most == exposed ? "moving the KV cache"
                                       : "generating";
  return fmt::format("{:.2f} times the time: {} takes {} longer", factor, part, Time(most));
}

}  // namespace

Result<PlanResult> Make(const ClusterProfile& cluster, const ModelCost& model,
                        const Workload& workload, const NodeId& entry,
                        const Constraints& constraints) {
  CHECK(model.n_layers() > 0);
  const CostTable costs(cluster, model, workload);
  BATON_ASSIGN_OR_RETURN(const Candidates candidates, CandidatesFor(costs, constraints));
  const bool told = !constraints.prefill_on.empty() || !constraints.decode_on.empty() ||
                    !constraints.split.empty();
  std::vector<Plan> plans;
  for (const Group& decode : candidates.decode) {
    for (const Group& prefill : candidates.prefill) {
      auto plan = Evaluate(costs, prefill, decode, entry);
      const bool to_itself = plan && !told && SameStages(plan->prefill, plan->decode);
      if (plan && !to_itself) AddIfNew(plans, *std::move(plan));
    }
  }
  if (plans.empty()) return NothingFits(costs);
  std::stable_sort(plans.begin(), plans.end(),
                   [&](const Plan& a, const Plan& b) { return Better(a, b, workload.objective); });
  PlanResult result;
  result.chosen = std::move(plans.front());
  plans.erase(plans.begin());
  result.chosen.reason =
      told ? AsTold(cluster, result.chosen) : WhyChosen(cluster, result.chosen, plans);
  for (Plan& plan : plans) {
    // Every single node is shown, whatever its rank: it is what people compare with.
    if (result.alternatives.size() >= kAlternativesShown && NodeCount(plan) > 1) continue;
    plan.reason = Describe(cluster, plan);
    std::string why = WhyLost(plan, result.chosen, workload);
    result.alternatives.push_back({std::move(plan), std::move(why)});
  }
  return result;
}

RequestEstimate Estimate(const ClusterProfile& cluster, const ModelCost& model, const Plan& plan,
                         Workload workload, int uncached_on_decode, int uncached_on_prefill) {
  const auto to_group = [&](const std::vector<StagePlan>& stages) {
    Group group;
    for (const StagePlan& stage : stages) {
      const NodeProfile* node = cluster.FindNode(stage.node);
      if (node == nullptr) return Group();
      group.push_back({static_cast<size_t>(node - cluster.nodes.data()), stage.layers});
    }
    return group;
  };
  RequestEstimate estimate;
  const Group decode = to_group(plan.decode);
  const Group prefill = to_group(plan.prefill);
  if (decode.empty() || prefill.empty()) return estimate;

  workload.prompt_tokens = uncached_on_decode;
  estimate.local_s = PrefillSeconds(CostTable(cluster, model, workload), decode);
  workload.prompt_tokens = uncached_on_prefill;
  const CostTable costs(cluster, model, workload);
  const double prefill_s = PrefillSeconds(costs, prefill);
  const Exposure exposure = ExposureBetween(costs, prefill, decode, prefill_s, uncached_on_decode);
  const double grant_s = TransferSeconds(cluster, plan.decode.front().node,
                                         plan.prefill.front().node, kTokenMessageBytes);
  estimate.remote_s = 2 * grant_s + prefill_s + exposure.seconds;
  estimate.remote_prefill = estimate.remote_s < estimate.local_s;
  return estimate;
}

}  // namespace baton::plan
