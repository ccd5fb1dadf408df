#include "plan/pools.h"

#include <gtest/gtest.h>

#include "plan/division.h"
#include "plan/oracle.h"
#include "plan/planner.h"
#include "plan/random_cluster.h"

namespace baton::plan {
namespace {

using drawn::Between;
using drawn::Case;
using drawn::Draw;
using drawn::Id;

ClusterProfile Nodes(const std::vector<Processors>& all) {
  ClusterProfile cluster;
  for (const Processors& processors : all)
    cluster.nodes.push_back(
        {.id = Id(cluster.nodes.size() + 1), .device = {.processors = processors}});
  return cluster;
}

double Seconds(const Pools& pools, const std::vector<double>& of_nodes) {
  Pools::Load load(pools);
  for (size_t node = 0; node < of_nodes.size(); ++node) load.Add(node, of_nodes[node]);
  return load.Seconds();
}

TEST(Pools, WhoeverHasCoresOfHisOwnSharesNothing) {
  EXPECT_TRUE(Pools(Nodes({{}, {}})).empty()) << "where nothing is known";
  EXPECT_TRUE(Pools(Nodes({{"a", {0, 1}, 2}, {"b", {0, 1}, 2}})).empty()) << "two machines";
  EXPECT_TRUE(Pools(Nodes({{"a", {0}, 1}, {"a", {1}, 1}})).empty());
  EXPECT_TRUE(Pools(Nodes({{"a", {0, 1}, 1}, {"a", {0, 1}, 1}})).empty()) << "a core for each";
  EXPECT_TRUE(Pools(Nodes({{"a", {0, 1}, 8}})).empty()) << "a node is no sharer of its own";
}

// Two threads on two cores, of which a node of one thread has one.
TEST(Pools, TakeTurns) {
  const Pools pools(Nodes({{"a", {0, 1}, 2}, {"a", {1}, 1}, {"b", {0}, 1}}));
  EXPECT_TRUE(pools.Fills(0, 1));
  EXPECT_FALSE(pools.Fills(1, 0)) << "a core is left";
  EXPECT_FALSE(pools.Fills(0, 2));
  EXPECT_EQ(pools.Sharers(), (std::vector<std::vector<size_t>>{{0, 1}}));
  EXPECT_EQ(pools.ShareOf(0), 1);
  EXPECT_EQ(pools.ShareOf(1), 0.5);
  EXPECT_EQ(pools.ShareOf(2), 0);
  EXPECT_NEAR(Seconds(pools, {3, 4, 50}), 5 + 2.0 / 3, 1e-9) << "a third of 2 the rest waits";
  EXPECT_EQ(Seconds(pools, {0.5, 4, 50}), 3) << "and no longer than it computes";
  EXPECT_EQ(Seconds(pools, {0, 4, 50}), 2);
  EXPECT_FALSE(pools.Alike(0, 1));
}

// Each of two nodes has one core of a third, who has both: the two meet nowhere.
TEST(Pools, AreOfThoseWhoMeet) {
  const Pools pools(Nodes({{"a", {0}, 1}, {"a", {1}, 1}, {"a", {0, 1}, 2}}));
  EXPECT_EQ(Seconds(pools, {2, 2, 0}), 2);
  EXPECT_NEAR(Seconds(pools, {2, 2, 3}), 5 + 2.0 / 3, 1e-9);
}

// Two on one core, within two cores that a third has.
TEST(Pools, AreWithinOthers) {
  const Pools pools(Nodes({{"a", {0}, 1}, {"a", {0}, 1}, {"a", {0, 1}, 1}}));
  EXPECT_EQ(Seconds(pools, {2, 3, 1}), 5) << "of the one core, not (2 + 3 + 1) / 2";
  EXPECT_TRUE(pools.Alike(0, 1));
  Pools::Load load(pools);
  load.Add(0, 4);
  EXPECT_EQ(load.SecondsAt(0), 4);
  EXPECT_EQ(load.SecondsAt(2), 2);
}

// Cores of some of a chain of nodes, each of which meets the next: all of one pool.
TEST(Pools, JoinChains) {
  const Pools pools(Nodes({{"a", {0, 1}, 2}, {"a", {2, 3}, 2}, {"a", {1, 2}, 2}}));
  EXPECT_EQ(Seconds(pools, {1, 1, 2}), 2);
  EXPECT_EQ(Seconds(pools, {2, 2, 1}), 2.5);
}

TEST(Pools, MoreThreadsThanCoresAreMeasuredSo) {
  const Pools pools(Nodes({{"a", {0}, 4}, {"a", {0}, 1}}));
  EXPECT_EQ(Seconds(pools, {2, 1}), 3);
}

double Together(const Pools& pools, const std::vector<double>& of_nodes) {
  std::vector<Pools::Part> parts;
  for (size_t node = 0; node < of_nodes.size(); ++node) parts.push_back({node, of_nodes[node]});
  return pools.SecondsTogether(parts);
}

// Three of one thread on two cores: two thirds for each until the shorter ones are done.
TEST(Pools, WhoBeginsTogetherSharesUntilOthersAreDone) {
  const Pools pools(Nodes({{"a", {0, 1}, 1}, {"a", {0, 1}, 1}, {"a", {0, 1}, 1}}));
  EXPECT_NEAR(Together(pools, {6, 2, 2}), 1.5 * 2 + 4, 1e-9) << "not (6 + 2 + 2) / 2";
  EXPECT_NEAR(Together(pools, {3, 3, 3}), 4.5, 1e-9);
  EXPECT_NEAR(Together(pools, {0, 5, 3}), 5, 1e-9) << "a core for each";
  EXPECT_EQ(Together(pools, {0, 0, 0}), 0);
}

TEST(Pools, TeamsBeginTogetherAsInTurns) {
  const Pools pools(Nodes({{"a", {0, 1}, 2}, {"a", {1}, 1}}));
  for (const std::vector<double>& seconds : {std::vector<double>{3, 4}, {1, 9}, {9, 1}})
    EXPECT_EQ(Together(pools, seconds), Seconds(pools, seconds));
}

// A node that has no part changes nothing.
TEST(Pools, TeamsThatRestDoNotCount) {
  const Processors one{"a", {0, 1}, 1};
  const std::vector<double> seconds{6, 2, 2};
  const double together = Together(Pools(Nodes({one, one, one})), seconds);
  EXPECT_EQ(Together(Pools(Nodes({one, one, one, {"a", {0, 1}, 2}})), seconds), together);
}

// As long as turns take, at least, and as the longest takes alone.
TEST(Pools, WhoBeginsTogetherTakesNoLessThanInTurns) {
  Rng rng(23);
  for (int round = 0; round < 200; ++round) {
    std::vector<Processors> nodes;
    std::vector<double> seconds;
    double longest = 0;
    for (int node = 0; node < 4; ++node) {
      std::vector<int> cores{Between(rng, 0, 1)};
      if (rng.Below(2) == 0) cores = {0, 1};
      nodes.push_back({"a", cores, Between(rng, 1, 2)});
      seconds.push_back(Between(rng, 0, 9));
      longest = std::max(longest, seconds.back());
    }
    const Pools pools(Nodes(nodes));
    const double together = Together(pools, seconds);
    EXPECT_GE(together, Seconds(pools, seconds) - 1e-9) << round;
    EXPECT_LE(std::max(together, longest), 2 * std::max(Seconds(pools, seconds), longest)) << round;
  }
}

// Draws nodes of one machine or two.
void ShareCores(Rng& rng, ClusterProfile& cluster) {
  for (NodeProfile& node : cluster.nodes) {
    Processors& processors = node.device.processors;
    processors.machine = rng.Below(4) == 0 ? "b" : "a";
    for (int core = 0; core < 4; ++core) {
      if (rng.Below(2) == 0) processors.cores.push_back(core);
    }
    processors.threads = Between(rng, 1, 4);
  }
}

// With few ways to cut all are tried: the search finds the best of them all, shared or not.
TEST(Pools, TheSearchEqualsTheOracle) {
  Rng rng(19);
  int shared = 0;
  for (int round = 0; round < 60; ++round) {
    const int layers = Between(rng, 2, 7);
    Case drawn = Draw(rng, Between(rng, 2, 5), layers, drawn::kObjectives[round % 2]);
    ShareCores(rng, drawn.cluster);
    const CostTable costs(drawn.cluster, drawn.model, drawn.workload);
    shared += costs.pools().empty() ? 0 : 1;
    const NodeId entry = drawn.cluster.nodes[0].id;
    const auto expected = drawn::Oracle(Judge(costs, entry));
    const auto result =
        Make(drawn.cluster, drawn.model, drawn.workload, entry, {.one_instance = true});
    ASSERT_EQ(result.ok(), expected.has_value());
    if (!expected) continue;
    EXPECT_LE(SecondsOf(result->chosen, drawn.workload.objective), expected->seconds * 1.01)
        << round;
  }
  EXPECT_GT(shared, 30);
}

// A device that is as quick as its threads, at nothing but reading and multiplying.
ClusterProfile TwoAndOne(const Processors& second) {
  ClusterProfile cluster = Nodes({{"a", {0, 1}, 2}, second});
  for (NodeProfile& node : cluster.nodes) {
    const double threads = node.device.processors.threads;
    node.device.memory_bytes = uint64_t{8} << 30;
    node.device.rates = {{DType::kF16, threads * 1e12, threads * 20e9}};
    node.device.attention_flops_per_s = threads * 1e12;
    node.device.kv_read_bytes_per_s = threads * 20e9;
  }
  cluster.links = {{Id(1), Id(2), 50, 10e9}, {Id(2), Id(1), 50, 10e9}};
  return cluster;
}

ModelCost Small() {
  ModelCost model{.name = "small"};
  model.layer_weight_bytes.assign(12, 20'000'000);
  model.layer_flops_per_token = 20e6;
  model.embedding_bytes = model.head_bytes = 1'000'000;
  model.kv_elements = 512;
  model.q_width = 1024;
  model.hidden_width = 1024;
  return model;
}

// A pipeline over cores that are one node's anyway gains nothing, and neither do two instances or
// a second role.
TEST(Pools, NothingIsGainedBySharing) {
  const Workload prompts{.prompt_tokens = 4096, .answer_tokens = 2};
  const Workload answers{.prompt_tokens = 64,
                         .answer_tokens = 256,
                         .slots = 4,
                         .concurrency = 4,
                         .objective = Objective::kThroughput};
  for (const Workload& workload : {prompts, answers}) {
    const auto seconds = [&](const char* machine, const Constraints& constraints) {
      const auto result = Make(TwoAndOne({machine, {1}, 1}), Small(), workload, Id(1), constraints);
      return SecondsOf(result->chosen, workload.objective);
    };
    const double alone = seconds("a", {.nodes = {Id(1)}});
    EXPECT_LT(seconds("b", {}), 0.99 * alone);
    EXPECT_NEAR(seconds("a", {}), alone, 1e-6 * alone);
  }
}

// What two instances take beside each other is what all of their threads take in turns.
TEST(Pools, InstancesTakeTurns) {
  const Workload workload{.prompt_tokens = 512,
                          .answer_tokens = 64,
                          .slots = 2,
                          .concurrency = 2,
                          .objective = Objective::kThroughput};
  const auto seconds = [&](const char* machine) {
    const ClusterProfile cluster = TwoAndOne({machine, {1}, 1});
    const auto result = Make(cluster, Small(), workload, Id(1));
    for (const Alternative& other : result->alternatives) {
      if (other.plan.instances.size() == 2) return other.plan.request_s;
    }
    return result->chosen.instances.size() == 2 ? result->chosen.request_s : 0;
  };
  const double apart = seconds("b");
  EXPECT_GT(apart, 0);
  EXPECT_NEAR(seconds("a"), (1.5 + 0.5 / 3) * apart, 1e-6);
}

}  // namespace
}  // namespace baton::plan
