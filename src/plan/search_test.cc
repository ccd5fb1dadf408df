// The search against an oracle that tries everything, and what holds for every cluster.
#include "plan/search.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <limits>

#include <gmock/gmock.h>

#include "plan/planner.h"
#include "plan/random_cluster.h"

namespace baton::plan {
namespace {

using namespace baton::plan::drawn;  // NOLINT

// BATON_PLAN_CLUSTERS=10000 is what the planner is judged by; fewer find a mistake as well.
int Clusters(int usual) {
  const char* said = std::getenv("BATON_PLAN_CLUSTERS");
  return said == nullptr ? usual : std::atoi(said);
}

// --- The oracle ---

void AddGroups(const CostTable& costs, Group& begun, std::vector<Group>& all) {
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

struct Part {
  Group group;
  Score least;  // that a plan with it has
};

std::vector<Part> PartsBy(const std::vector<Group>& groups, Objective objective,
                          const std::function<double(const Group&)>& seconds) {
  std::vector<Part> parts;
  for (const Group& group : groups) {
    const double value = seconds(group);
    if (!std::isfinite(value)) continue;
    parts.push_back({group, {objective == Objective::kFit ? group.size() : 0, value}});
  }
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.least < b.least; });
  return parts;
}

double BusiestComputing(const CostTable& costs, const Group& group) {
  double busiest = 0;
  for (const GroupStage& stage : group)
    busiest = std::max(busiest, costs.PrefillOf(stage.node, stage.layers, group.size()));
  return busiest;
}

double BusiestGenerating(const CostTable& costs, const Group& group) {
  const double batch = BatchOf(costs, group.size());
  double busiest = 0;
  for (const GroupStage& stage : group)
    busiest = std::max(busiest, costs.workload().answer_tokens *
                                    costs.DecodeBatch(stage.node, stage.layers, batch) / batch);
  return busiest;
}

// All groups, alone and in pairs. A pair takes no less than its parts, which ends most loops early
// and changes nothing else.
std::optional<Score> Oracle(const Judge& judge) {
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
  const std::vector<Part> computing = PartsBy(groups, objective, [&](const Group& group) {
    return throughput ? BusiestComputing(costs, group)
                      : PrefillSeconds(costs, group) + judge.ToEntry(group.back().node);
  });
  const std::vector<Part> generating = PartsBy(groups, objective, [&](const Group& group) {
    return throughput ? BusiestGenerating(costs, group)
                      : costs.later_tokens() * DecodeSeconds(costs, group);
  });
  for (const Part& decode : generating) {
    for (const Part& prefill : computing) {
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

struct Case {
  ClusterProfile cluster;
  ModelCost model;
  Workload workload;
};

Case Draw(Rng& rng, int nodes, int layers, Objective objective) {
  Case drawn{.model = RandomModel(rng, layers), .workload = RandomWorkload(rng, objective)};
  const auto bytes = static_cast<double>(MemoryFor(drawn.model, {0, layers}, drawn.workload));
  for (int i = 0; i < nodes; ++i) AddNode(rng, drawn.cluster, bytes);
  return drawn;
}

constexpr Objective kObjectives[] = {Objective::kLatency, Objective::kThroughput, Objective::kFit};

TEST(Search, EqualsTheOracle) {
  Rng rng(11);
  int fitting = 0;
  double worst = 0;
  for (int round = 0; round < Clusters(300); ++round) {
    const int nodes = Between(rng, 1, static_cast<int>(kNodesWeighedInFull));
    const int layers = Between(rng, 1, nodes >= 6 ? 6 : nodes == 5 ? 7 : 9);
    const Case drawn = Draw(rng, nodes, layers, kObjectives[round % 3]);
    SCOPED_TRACE(fmt::format("round {}: {} nodes, {} layers", round, nodes, layers));
    const CostTable costs(drawn.cluster, drawn.model, drawn.workload);
    const Judge judge(costs, drawn.cluster.nodes[0].id);
    const auto expected = Oracle(judge);
    const auto result = Make(drawn.cluster, drawn.model, drawn.workload, drawn.cluster.nodes[0].id);
    ASSERT_EQ(result.ok(), expected.has_value());
    if (!expected) continue;
    ++fitting;
    const Plan& plan = result->chosen;
    const double seconds =
        drawn.workload.objective == Objective::kThroughput ? plan.request_s : plan.total_s;
    if (drawn.workload.objective == Objective::kFit) {
      ASSERT_EQ(NodesUsed(plan).size(), expected->nodes);
    }
    worst = std::max(worst, seconds / expected->seconds - 1);
    EXPECT_LE(seconds, expected->seconds * 1.01) << plan.reason;
    EXPECT_GE(seconds, expected->seconds * (1 - 1e-9)) << plan.reason;
  }
  EXPECT_GT(fitting, 0);
  RecordProperty("worst", fmt::format("{:.6f}", worst));
  fmt::print("{} clusters that hold their model, at worst {:.4f} % above the best\n", fitting,
             100 * worst);
}

double SecondsOf(const Plan& plan, Objective objective) {
  return objective == Objective::kThroughput ? plan.request_s : plan.total_s;
}

// Draws a cluster, plans, changes the cluster, plans again: how many plans are worse than `before`
// of `rounds`, and by how much at most.
struct Worse {
  int clusters = 0;
  double most = 0;
};
void Count(const Result<PlanResult>& after, const Result<PlanResult>& before, Objective objective,
           Worse& worse) {
  if (!before.ok()) return;
  ASSERT_TRUE(after.ok()) << after.error().message();
  const size_t nodes_after = NodesUsed(after->chosen).size();
  const size_t nodes_before = NodesUsed(before->chosen).size();
  double excess = SecondsOf(after->chosen, objective) / SecondsOf(before->chosen, objective) - 1;
  if (objective == Objective::kFit && nodes_after != nodes_before)
    excess = static_cast<double>(nodes_after) / static_cast<double>(nodes_before) - 1;
  if (excess > 1e-9) ++worse.clusters;
  worse.most = std::max(worse.most, excess);
}

Worse WithADeviceMore(uint64_t seed, int fewest, int most, int rounds) {
  Rng rng(seed);
  Worse worse;
  for (int round = 0; round < rounds; ++round) {
    const Objective objective = kObjectives[round % 3];
    Case drawn = Draw(rng, Between(rng, fewest, most), Between(rng, 1, 9), objective);
    const NodeId entry = drawn.cluster.nodes[0].id;
    const auto before = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    AddNode(
        rng, drawn.cluster,
        static_cast<double>(MemoryFor(drawn.model, {0, drawn.model.n_layers()}, drawn.workload)));
    Count(Make(drawn.cluster, drawn.model, drawn.workload, entry), before, objective, worse);
  }
  return worse;
}

Worse WithAQuickerLink(uint64_t seed, int fewest, int most, int rounds) {
  Rng rng(seed);
  Worse worse;
  for (int round = 0; round < rounds; ++round) {
    const Objective objective = kObjectives[round % 3];
    Case drawn = Draw(rng, Between(rng, fewest, most), Between(rng, 1, 9), objective);
    if (drawn.cluster.links.empty()) continue;
    const NodeId entry = drawn.cluster.nodes[0].id;
    const auto quick = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    LinkProfile& link = drawn.cluster.links[rng.Below(drawn.cluster.links.size())];
    if (rng.Below(2) == 0) {
      link.bytes_per_s *= rng.Uniform();
    } else {
      link.rtt_us *= 1 + 10 * rng.Uniform();
    }
    Count(quick, Make(drawn.cluster, drawn.model, drawn.workload, entry), objective, worse);
  }
  return worse;
}

// Up to six nodes everything is weighed, so that nothing that is there more can harm.
TEST(Search, ADeviceMoreNeverMakesThePlanWorse) {
  const Worse worse = WithADeviceMore(12, 1, 5, Clusters(300));
  EXPECT_EQ(worse.clusters, 0) << worse.most;
}

TEST(Search, ASlowerLinkNeverMakesThePlanBetter) {
  const Worse worse = WithAQuickerLink(13, 2, 6, Clusters(300));
  EXPECT_EQ(worse.clusters, 0) << worse.most;
}

// Of more nodes not every order can be weighed: a plan may be missed, seldom.
TEST(Search, SeldomMissesAPlanOfManyNodes) {
  const int rounds = std::max(30, Clusters(300) / 5);
  const Worse device = WithADeviceMore(16, 6, 12, rounds);
  const Worse link = WithAQuickerLink(17, 7, 12, rounds);
  fmt::print(
      "of {} clusters, worse with a device more: {}, by {:.2f} % at most; with a quicker "
      "link: {}, by {:.2f} % at most\n",
      rounds, device.clusters, 100 * device.most, link.clusters, 100 * link.most);
  EXPECT_LE(device.clusters, rounds / 10);
  EXPECT_LE(link.clusters, rounds / 10);
}

void ExpectWithinMemory(const ClusterProfile& cluster, const PlanResult& result) {
  const auto check = [&](const Plan& plan) {
    for (const auto* stages : {&plan.prefill, &plan.decode}) {
      for (const StagePlan& stage : *stages)
        EXPECT_LE(stage.memory_bytes, cluster.FindNode(stage.node)->device.memory_bytes);
    }
  };
  check(result.chosen);
  for (const Alternative& other : result.alternatives) check(other.plan);
}

void ExpectEqual(const Plan& a, const Plan& b) {
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.total_s, b.total_s);
  EXPECT_EQ(a.request_s, b.request_s);
  for (const auto stages : {&Plan::prefill, &Plan::decode}) {
    ASSERT_EQ((a.*stages).size(), (b.*stages).size());
    for (size_t i = 0; i < (a.*stages).size(); ++i) {
      EXPECT_EQ((a.*stages)[i].node, (b.*stages)[i].node);
      EXPECT_EQ((a.*stages)[i].layers, (b.*stages)[i].layers);
    }
  }
}

// Equal inputs, and equal clusters that list their nodes and links in another order.
TEST(Search, EqualInputsGiveEqualPlans) {
  Rng rng(14);
  for (int round = 0; round < Clusters(150); ++round) {
    Case drawn = Draw(rng, Between(rng, 1, 10), Between(rng, 1, 12), kObjectives[round % 3]);
    // Twins, so that there are ties.
    for (NodeProfile& node : drawn.cluster.nodes) {
      if (rng.Below(2) == 0) node.device = drawn.cluster.nodes[0].device;
    }
    const NodeId entry = drawn.cluster.nodes[0].id;
    const auto first = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    std::reverse(drawn.cluster.nodes.begin(), drawn.cluster.nodes.end());
    std::reverse(drawn.cluster.links.begin(), drawn.cluster.links.end());
    const auto second = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    ASSERT_EQ(first.ok(), second.ok());
    if (!first.ok()) continue;
    ExpectWithinMemory(drawn.cluster, *first);
    ExpectEqual(first->chosen, second->chosen);
    ASSERT_EQ(first->alternatives.size(), second->alternatives.size());
    for (size_t i = 0; i < first->alternatives.size(); ++i) {
      ExpectEqual(first->alternatives[i].plan, second->alternatives[i].plan);
      EXPECT_EQ(first->alternatives[i].why, second->alternatives[i].why);
    }
  }
}

// Sixty-four unequal devices and eighty layers. What it is judged by is 100 ms of a plain core;
// a build with sanitizers takes longer, and this leaves room for it.
TEST(Search, SixtyFourDevicesAndEightyLayersTakeLittle) {
  Rng rng(15);
  double slowest_s = 0;
  Worse worse;
  const int rounds = std::max(6, Clusters(300) / 100);
  for (int round = 0; round < rounds; ++round) {
    const Objective objective = kObjectives[round % 3];
    Case drawn = Draw(rng, 63, 80, objective);
    const NodeId entry = drawn.cluster.nodes[0].id;
    const auto before = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    AddNode(rng, drawn.cluster,
            static_cast<double>(MemoryFor(drawn.model, {0, 80}, drawn.workload)));
    const std::clock_t begun = std::clock();
    const auto after = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    slowest_s = std::max(slowest_s, seconds);
    Count(after, before, objective, worse);
    if (after.ok()) ExpectWithinMemory(drawn.cluster, *after);
  }
  fmt::print(
      "at most {:.0f} ms of processor time; worse with a device more: {} of {}, by {:.2f} %\n",
      slowest_s * 1e3, worse.clusters, rounds, 100 * worse.most);
  EXPECT_LT(slowest_s, 2.0);
}

}  // namespace
}  // namespace baton::plan
