// Oracles for tests: every plan tried.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "plan/division.h"
#include "plan/evaluate.h"
#include "plan/random_cluster.h"

namespace baton::plan::drawn {

inline constexpr Objective kObjectives[] = {Objective::kLatency, Objective::kThroughput,
                                            Objective::kFit};

struct Case {
  ClusterProfile cluster;
  ModelCost model;
  Workload workload;
};

inline Case Draw(Rng& rng, int nodes, int layers, Objective objective) {
  Case drawn{.model = RandomModel(rng, layers), .workload = RandomWorkload(rng, objective)};
  const auto bytes = static_cast<double>(MemoryFor(drawn.model, {0, layers}, drawn.workload));
  for (int i = 0; i < nodes; ++i) AddNode(rng, drawn.cluster, bytes);
  return drawn;
}

// The same cluster, where only the nodes of `set` have the model.
inline ClusterProfile Only(ClusterProfile cluster, uint32_t set) {
  for (size_t i = 0; i < cluster.nodes.size(); ++i)
    cluster.nodes[i].has_model = cluster.nodes[i].has_model && (set >> i & 1) != 0;
  return cluster;
}

// --- One instance ---

inline void AddGroups(const CostTable& costs, Group& begun, std::vector<Group>& all) {
  const int layers = costs.model().n_layers();
  const int first = begun.empty() ? 0 : begun.back().layers.last;
  if (first == layers) {
    all.push_back(begun);
    return;
  }
  for (size_t node = 0; node < costs.cluster().nodes.size(); ++node) {
    const bool used = std::any_of(begun.begin(), begun.end(),
                                  [&](const GroupStage& stage) { return stage.node == node; });
    if (used || !costs.cluster().nodes[node].has_model) continue;
    for (int last = first + 1; last <= layers; ++last) {
      if (!costs.Fits(node, {first, last})) continue;
      begun.push_back({node, {first, last}});
      AddGroups(costs, begun, all);
      begun.pop_back();
    }
  }
}

struct OraclePart {
  Group group;
  Score least;  // that a plan with it has
};

inline std::vector<OraclePart> PartsBy(const std::vector<Group>& groups, Objective objective,
                                       const std::function<double(const Group&)>& seconds) {
  std::vector<OraclePart> parts;
  for (const Group& group : groups) {
    const double value = seconds(group);
    if (!std::isfinite(value)) continue;
    parts.push_back({group, {objective == Objective::kFit ? group.size() : 0, value}});
  }
  std::sort(parts.begin(), parts.end(),
            [](const OraclePart& a, const OraclePart& b) { return a.least < b.least; });
  return parts;
}

inline double BusiestComputing(const CostTable& costs, const Group& group) {
  double busiest = 0;
  for (const GroupStage& stage : group)
    busiest = std::max(busiest, costs.PrefillOf(stage.node, stage.layers, group.size()));
  return busiest;
}

inline double BusiestGenerating(const CostTable& costs, const Group& group) {
  const double batch = BatchOf(costs, group.size());
  double busiest = 0;
  for (const GroupStage& stage : group)
    busiest = std::max(busiest, costs.workload().answer_tokens *
                                    costs.DecodeBatch(stage.node, stage.layers, batch) / batch);
  return busiest;
}

// All groups, alone and in pairs. A pair takes no less than its parts, which ends most loops early
// and changes nothing else.
inline std::optional<Score> Oracle(const Judge& judge) {
  const CostTable& costs = judge.costs();
  const Objective objective = costs.workload().objective;
  std::vector<Group> groups;
  Group begun;
  AddGroups(costs, begun, groups);
  std::optional<Score> best;
  const auto offer = [&](const Arrangement& arrangement) {
    const auto totals = judge.TotalsOf(arrangement);
    if (!totals) return;
    const Score score = judge.ScoreOf(arrangement, *totals);
    if (!best || score < *best) best = score;
  };
  for (const Group& group : groups) offer({{}, group});
  const bool throughput = objective == Objective::kThroughput;
  const std::vector<OraclePart> computing = PartsBy(groups, objective, [&](const Group& group) {
    return throughput ? BusiestComputing(costs, group)
                      : PrefillSeconds(costs, group) + judge.ToEntry(group.back().node);
  });
  const std::vector<OraclePart> generating = PartsBy(groups, objective, [&](const Group& group) {
    return throughput ? BusiestGenerating(costs, group)
                      : costs.later_tokens() * DecodeSeconds(costs, group);
  });
  for (const OraclePart& decode : generating) {
    for (const OraclePart& prefill : computing) {
      const double seconds = throughput ? std::max(decode.least.seconds, prefill.least.seconds)
                                        : decode.least.seconds + prefill.least.seconds;
      const Score least{std::max(decode.least.nodes, prefill.least.nodes), seconds};
      // Whatever follows has as many nodes or more, and of those with as many takes longer.
      if (best && !(least < *best)) {
        if (least.nodes > best->nodes || prefill.least.nodes == least.nodes) break;
        continue;
      }
      if (prefill.group == decode.group) continue;
      offer({prefill.group, decode.group});
    }
  }
  return best;
}

// --- Several ---

// The seconds of the best way to serve `requests` of the workload's on the nodes of `set`, in one
// instance or several: every partition, every division. `known` holds what has been asked.
class DivisionOracle {
 public:
  explicit DivisionOracle(const Case& drawn) : drawn_(drawn) {}

  double Best() {
    const uint32_t all = (1u << drawn_.cluster.nodes.size()) - 1;
    return Of(all, drawn_.workload.concurrency);
  }

 private:
  double Of(uint32_t set, int requests) {
    const auto [known, fresh] = known_.try_emplace({set, requests}, 0);
    if (!fresh) return known->second;
    double best = AsOne(set, requests);
    for (uint32_t part = (set - 1) & set; part > 0; part = (part - 1) & set) {
      for (int share = 1; share < requests; ++share) {
        const double a = AsOne(part, share);
        if (!std::isfinite(a)) continue;
        const double b = Of(set & ~part, requests - share);
        if (!std::isfinite(b)) continue;
        best =
            std::min(best, drawn_.workload.objective == Objective::kThroughput ? 1 / (1 / a + 1 / b)
                                                                               : std::max(a, b));
      }
    }
    return known_[{set, requests}] = best;
  }

  double AsOne(uint32_t set, int requests) {
    const auto [known, fresh] = ones_.try_emplace({set, requests}, 0);
    if (!fresh) return known->second;
    const ClusterProfile cluster = Only(drawn_.cluster, set);
    const Workload share = ShareOf(drawn_.workload, requests);
    const CostTable costs(cluster, drawn_.model, share);
    const auto score = Oracle(Judge(costs, drawn_.cluster.nodes[0].id));
    return known->second = score ? score->seconds : std::numeric_limits<double>::infinity();
  }

  const Case& drawn_;
  std::map<std::pair<uint32_t, int>, double> known_, ones_;
};

}  // namespace baton::plan::drawn
