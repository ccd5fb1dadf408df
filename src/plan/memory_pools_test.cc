#include "plan/memory_pools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/division.h"
#include "plan/evaluate.h"
#include "plan/random_cluster.h"

namespace baton::plan {
namespace {

using drawn::Id;
using testing::DoubleNear;
using testing::ElementsAre;

constexpr int kLayers = 8;
const LayerRange kAll{0, kLayers};

// 8 GB of weights, which a step reads and does nothing else.
ModelCost Model() {
  return {.layer_weight_bytes = std::vector<uint64_t>(kLayers, 1'000'000'000),
          .layer_flops_per_token = 1,
          .kv_elements = 2,
          .hidden_width = 1};
}

// Nodes of one machine that read 40 GB/s each, and `shared` while all do.
ClusterProfile Cluster(size_t nodes, double shared) {
  ClusterProfile cluster;
  for (size_t n = 0; n < nodes; ++n) {
    NodeProfile node{.id = Id(n + 1)};
    node.device.memory_bytes = 100'000'000'000;
    node.device.rates = {{DType::kF16, 1e15, 40e9}};
    node.device.attention_flops_per_s = node.device.kv_read_bytes_per_s = 1e18;
    node.device.processors = {"here", {static_cast<int>(n)}, 1, shared};
    for (const NodeProfile& other : cluster.nodes) {
      cluster.links.push_back({.from = node.id, .to = other.id, .bytes_per_s = 1e12});
      cluster.links.push_back({.from = other.id, .to = node.id, .bytes_per_s = 1e12});
    }
    cluster.nodes.push_back(node);
  }
  return cluster;
}

Workload Requests(int count) {
  return {.prompt_tokens = 1,
          .answer_tokens = 100,
          .context_tokens = 128,
          .slots = count,
          .concurrency = count,
          .objective = Objective::kThroughput};
}

TEST(MemoryPools, ThereAreNoneWhereNothingIsShared) {
  EXPECT_TRUE(MemoryPools().empty());
  EXPECT_TRUE(MemoryPools(Cluster(1, 20e9)).empty());
  EXPECT_TRUE(MemoryPools(Cluster(2, 0)).empty()) << "not known";
  ClusterProfile cluster = Cluster(3, 20e9);
  EXPECT_FALSE(MemoryPools(cluster).empty());
  cluster.nodes[2].device.processors.shared_reading_bytes_per_s = 0;
  EXPECT_TRUE(MemoryPools(cluster).empty()) << "not known of one of them";
  cluster.nodes[2].device.processors.machine = "elsewhere";
  const MemoryPools pools(cluster);
  EXPECT_FALSE(pools.empty());
  EXPECT_TRUE(pools.Alike(0, 1));
  EXPECT_FALSE(pools.Alike(0, 2));
  EXPECT_DOUBLE_EQ(pools.ShareOf(0, 10e9), 0.25);
  EXPECT_DOUBLE_EQ(pools.ShareOf(0, 90e9), 1);
  EXPECT_EQ(pools.ShareOf(2, 10e9), 0);
}

TEST(MemoryPools, WhoReadsAtOnceTakesLonger) {
  ClusterProfile cluster = Cluster(3, 20e9);
  cluster.nodes[2].device.processors.machine = "elsewhere";
  const MemoryPools pools(cluster);
  const auto stretch = [&](std::vector<MemoryPools::Part> parts) { return pools.Stretch(parts); };
  const auto near = [](double value) { return DoubleNear(value, 1e-9); };
  EXPECT_THAT(stretch({{0, 0.9, 1}}), ElementsAre(near(1)));
  EXPECT_THAT(stretch({{0, 0.9, 1}, {1, 0.9, 1}}), ElementsAre(near(1.8), near(1.8)));
  EXPECT_THAT(stretch({{0, 0.9, 1}, {1, 0.9, 0.5}}), ElementsAre(near(1.4), near(1.8)));
  EXPECT_THAT(stretch({{0, 0.5, 1}, {1, 0.4, 1}}), ElementsAre(near(1), near(1)));
  EXPECT_THAT(stretch({{0, 0.9, 1}, {2, 0, 1}}), ElementsAre(near(1), near(1)));
  // Others that are at work now and then: each combination as often as it comes.
  ClusterProfile many = Cluster(4, 20e9);
  const auto times = MemoryPools(many).Stretch(
      std::vector<MemoryPools::Part>{{0, 0.5, 1}, {1, 0.5, 0.5}, {2, 0.5, 0.5}, {3, 0.5, 0.5}});
  EXPECT_NEAR(times[0], (1 + 3 * 1 + 3 * 1.5 + 2) / 8, 1e-9);
}

// Two stages whose batches are under way at once: memory binds, however layers are cut.
TEST(MemoryPools, PipelinesOfOneMachineAreAsSlowAsItsMemory) {
  const ModelCost model = Model();
  const Workload workload = Requests(8);
  const auto request_s = [&](double shared) {
    const ClusterProfile cluster = Cluster(2, shared);
    const CostTable costs(cluster, model, workload);
    const Judge judge(costs, Id(1));
    return judge.TotalsOf({{}, {{0, {0, 4}}, {1, {4, 8}}}})->request_s;
  };
  // 100 steps of 4 GB for four requests at once, at 40 GB/s, and a prompt's chunk.
  EXPECT_NEAR(request_s(40e9), 100 * 0.1 / 4 + 0.1, 0.01);
  EXPECT_NEAR(request_s(20e9), 100 * 0.2 / 4 + 0.1, 0.1);
  EXPECT_NEAR(request_s(0), request_s(40e9), 1e-4) << "not known";
}

TEST(MemoryPools, InstancesOfOneMachineShareItsMemory) {
  const ModelCost model = Model();
  const Workload half = ShareOf(Requests(8), 4);
  const auto both = [&](double shared) {
    const ClusterProfile cluster = Cluster(2, shared);
    const CostTable costs(cluster, model, half);
    const Judge judge(costs, Id(1));
    std::vector<Plan> instances;
    for (const size_t node : {0, 1}) {
      const Arrangement alone{{}, {{node, kAll}}};
      instances.push_back(judge.PlanOf(alone, *judge.TotalsOf(alone)));
    }
    return InTurns(cluster, SideBySide(std::move(instances)));
  };
  const Plan apart = both(40e9), together = both(20e9);
  EXPECT_NEAR(apart.decode_step_s, 0.2, 1e-3);
  EXPECT_NEAR(together.decode_step_s / apart.decode_step_s, 2, 0.05);
  EXPECT_NEAR(together.request_s / apart.request_s, 2, 0.1);
  EXPECT_NEAR(together.ttft_s, apart.ttft_s, 1e-9) << "prompts wait for arithmetic";
}

}  // namespace
}  // namespace baton::plan
