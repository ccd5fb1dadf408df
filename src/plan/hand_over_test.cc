#include "plan/hand_over.h"

#include <gtest/gtest.h>

#include "plan/evaluate.h"
#include "plan/random_cluster.h"

namespace baton::plan {
namespace {

using drawn::Id;

constexpr int kLayers = 8;

// A layer's KV of a token is 1000 bytes, its row 400.
ModelCost Model() {
  return {.layer_weight_bytes = std::vector<uint64_t>(kLayers, 1'000'000),
          .layer_flops_per_token = 1e6,
          .kv_elements = 500,
          .hidden_width = 100};
}

// Nodes that compute a layer of 1000 tokens in a second; every link carries 1 MB/s.
ClusterProfile Cluster(size_t nodes) {
  ClusterProfile cluster;
  for (size_t n = 0; n < nodes; ++n) {
    NodeProfile node{.id = Id(n + 1)};
    node.device.memory_bytes = 1'000'000'000;
    node.device.rates = {{DType::kF16, 1e9, 1e9}};
    node.device.attention_flops_per_s = node.device.kv_read_bytes_per_s = 1e15;
    for (const NodeProfile& other : cluster.nodes) {
      cluster.links.push_back({.from = node.id, .to = other.id, .bytes_per_s = 1e6});
      cluster.links.push_back({.from = other.id, .to = node.id, .bytes_per_s = 1e6});
    }
    cluster.nodes.push_back(node);
  }
  return cluster;
}

LinkProfile& LinkOf(ClusterProfile& cluster, size_t from, size_t to) {
  for (LinkProfile& link : cluster.links) {
    if (link.from == cluster.nodes[from].id && link.to == cluster.nodes[to].id) return link;
  }
  ADD_FAILURE();
  return cluster.links.front();
}

Workload Prompt(int tokens, int chunk) {
  return {.prompt_tokens = tokens,
          .context_tokens = tokens + 64,
          .chunk_tokens = chunk,
          .fine_pipelines = false};
}

Exposure Exposed(const ClusterProfile& cluster, const Workload& workload, const Group& prefill,
                 const Group& decode) {
  const ModelCost model = Model();
  const CostTable costs(cluster, model, workload);
  return HandOver(costs, prefill, PrefillSeconds(costs, prefill), workload.prompt_tokens)
      .To(decode);
}

const LayerRange kAll{0, kLayers};

// DESIGN section 7: kv / link - prefill x (1 - 1 / layers), at least a layer's KV.
TEST(HandOver, OfOneChunkIsTheFormulaOfTheDesign) {
  ClusterProfile cluster = Cluster(2);
  const Workload workload = Prompt(1000, 1000);
  EXPECT_NEAR(Exposed(cluster, workload, {{0, kAll}}, {{1, kAll}}).seconds, 8 - 7, 1e-3);
  LinkOf(cluster, 0, 1).bytes_per_s = 0.5e6;
  const Exposure behind = Exposed(cluster, workload, {{0, kAll}}, {{1, kAll}});
  EXPECT_NEAR(behind.seconds, 16 - 7, 1e-3);
  EXPECT_FALSE(behind.hidden);
  LinkOf(cluster, 0, 1).bytes_per_s = 2e6;
  const Exposure hidden = Exposed(cluster, workload, {{0, kAll}}, {{1, kAll}});
  EXPECT_NEAR(hidden.seconds, 0.5, 1e-3);
  EXPECT_TRUE(hidden.hidden);
}

TEST(HandOver, BeginsWithTheFirstLayerOfTheFirstChunk) {
  ClusterProfile cluster = Cluster(2);
  LinkOf(cluster, 0, 1).bytes_per_s = 0.5e6;
  EXPECT_NEAR(Exposed(cluster, Prompt(1000, 250), {{0, kAll}}, {{1, kAll}}).seconds, 16 + 0.25 - 8,
              1e-3);
}

TEST(HandOver, StaysWhereItIs) {
  const ClusterProfile cluster = Cluster(2);
  const Group pipeline = {{0, {0, 6}}, {1, {6, 8}}};
  const Exposure kept = Exposed(cluster, Prompt(1000, 1000), pipeline, pipeline);
  EXPECT_EQ(kept.seconds, 0);
  EXPECT_TRUE(kept.hidden);
}

// Six layers' KV and a row of each token, from after one layer of eight.
TEST(HandOver, RowsTakeTheSameWay) {
  const ClusterProfile cluster = Cluster(2);
  const double hop_s = 0.4;
  EXPECT_NEAR(Exposed(cluster, Prompt(1000, 1000), {{0, {0, 6}}, {1, {6, 8}}}, {{1, kAll}}).seconds,
              std::max(0.0, 1 + 6 + 0.4 - (8 + hop_s)), 1e-3);
  ClusterProfile slow = cluster;
  LinkOf(slow, 0, 1).bytes_per_s = 0.5e6;
  EXPECT_NEAR(Exposed(slow, Prompt(1000, 1000), {{0, {0, 6}}, {1, {6, 8}}}, {{1, kAll}}).seconds,
              1 + 2 * (6 + 0.4) - (8 + 2 * hop_s), 1e-3);
}

TEST(HandOver, LinksOfOnePortShareItsRate) {
  ClusterProfile cluster = Cluster(3);
  const Workload workload = Prompt(1000, 1000);
  for (const size_t to : {1, 2}) LinkOf(cluster, 0, to).bytes_per_s = 0.5e6;
  const Group halves = {{1, {0, 4}}, {2, {4, 8}}};
  EXPECT_NEAR(Exposed(cluster, workload, {{0, kAll}}, halves).seconds, 1 + 16 - 8, 1e-3);
  LinkOf(cluster, 0, 2).port = "another";
  EXPECT_NEAR(Exposed(cluster, workload, {{0, kAll}}, halves).seconds, 5 + 8 - 8, 1e-3);
}

TEST(HandOver, APortReceivesAsFastAsItsFastestLinkGoes) {
  ClusterProfile cluster = Cluster(3);
  const Workload workload = Prompt(1000, 1000);
  for (LinkProfile& link : cluster.links) link.bytes_per_s = 0.25e6;
  const Group halves = {{0, {0, 4}}, {1, {4, 8}}};
  const double prompt_s = 8 + 4 * 0.4;
  EXPECT_NEAR(Exposed(cluster, workload, halves, {{2, kAll}}).seconds, 1 + 32 - prompt_s, 1e-3);
  LinkOf(cluster, 2, 0).bytes_per_s = 10e6;  // so fast, it is not the port that binds
  EXPECT_NEAR(Exposed(cluster, workload, halves, {{2, kAll}}).seconds, 4 + 1.6 + 1 + 16 - prompt_s,
              1e-3);
  for (const size_t from : {0, 1}) LinkOf(cluster, 2, from).port = from == 0 ? "one" : "another";
  EXPECT_NEAR(Exposed(cluster, workload, halves, {{2, kAll}}).seconds, 4 + 1.6 + 1 + 16 - prompt_s,
              1e-3);
}

// What the search asks of one stage at a time, and what all of them take together.
TEST(HandOver, OfAllIsThatOfTheWorstWhereNodesHaveOnePort) {
  Rng rng(11);
  int apart = 0;
  constexpr int kRounds = 500;
  for (int round = 0; round < kRounds; ++round) {
    ClusterProfile cluster;
    const ModelCost model = drawn::RandomModel(rng, kLayers);
    for (int n = 0; n < 4; ++n) drawn::AddNode(rng, cluster, 1e12);
    Workload workload = drawn::RandomWorkload(rng, Objective::kLatency);
    const CostTable costs(cluster, model, workload);
    const int cut = drawn::Between(rng, 1, kLayers - 1);
    const int other = drawn::Between(rng, 1, kLayers - 1);
    const Group prefill = {{0, {0, cut}}, {1, {cut, kLayers}}};
    const size_t first = rng.Below(4), second = (first + 1 + rng.Below(3)) % 4;
    const Group decode = {{first, {0, other}}, {second, {other, kLayers}}};
    const double prefill_s = PrefillSeconds(costs, prefill);
    const HandOver hand_over(costs, prefill, prefill_s, workload.prompt_tokens);
    const double all_s = hand_over.To(decode).seconds;
    if (!std::isfinite(prefill_s) || !std::isfinite(all_s)) continue;
    double worst_s = hand_over.LeastExposed({first, second});
    for (const GroupStage& stage : decode) worst_s = std::max(worst_s, hand_over.ExposedAt(stage));
    EXPECT_LE(worst_s, all_s * (1 + 1e-9)) << round;
    apart += all_s > worst_s * (1 + 1e-9) + 1e-9 ? 1 : 0;
  }
  EXPECT_EQ(apart, 0);
}

TEST(HandOver, RowsShareTheirPortWithOthersKv) {
  ClusterProfile cluster = Cluster(3);
  const ModelCost model = Model();
  const Workload workload = Prompt(1000, 1000);
  const auto prompt_s = [&](const Group& decode) {
    const CostTable costs(cluster, model, workload);
    return PrefillSecondsBeside(costs, {{0, {0, 1}}, {1, {1, 4}}, {2, {4, 8}}}, decode, 1000);
  };
  EXPECT_NEAR(prompt_s({{1, kAll}}), 8 + 2 * 0.4, 1e-3) << "rows and KV to different nodes";
  EXPECT_NEAR(prompt_s({{2, kAll}}), 8 + 3 * 0.4, 1e-3) << "as long as the rows last";
  EXPECT_NEAR(prompt_s({{2, {1, 8}}, {1, {0, 1}}}), 8 + 2 * 0.4, 1e-3) << "of the same sender";
  LinkOf(cluster, 2, 0).bytes_per_s = 2e6;
  EXPECT_NEAR(prompt_s({{2, kAll}}), 8 + 2 * 0.4, 1e-3) << "a port for both";
}

TEST(HandOver, StreamsHaveTheirPartOfAPort) {
  ClusterProfile cluster = Cluster(3);
  const ModelCost model = Model();
  const Workload workload = Prompt(1000, 1000);
  const CostTable costs(cluster, model, workload);
  const Group prefill = {{0, kAll}};
  const HandOver hand_over(costs, prefill, 8, 1000);
  const auto streams = hand_over.StreamsTo({{1, {0, 2}}, {2, {2, 8}}});
  ASSERT_EQ(streams.size(), 2u);
  EXPECT_DOUBLE_EQ(streams[0].bytes_per_s, 0.25e6);
  EXPECT_DOUBLE_EQ(streams[1].bytes_per_s, 0.75e6);
  EXPECT_NEAR(streams[0].begin_part, 1.0 / 8, 1e-3);
  EXPECT_NEAR(streams[1].begin_part, 3.0 / 8, 1e-3);
}

// The prompts of many requests: what is sent for each of them.
TEST(HandOver, OfAStreamOfRequestsIsAsSlowAsItsBusiestPort) {
  ClusterProfile cluster = Cluster(3);
  const ModelCost model = Model();
  const Workload workload = Prompt(1000, 1000);
  const CostTable costs(cluster, model, workload);
  EXPECT_NEAR(BusiestSending(costs, {{0, kAll}}, {{1, {0, 4}}, {2, {4, 8}}}), 8, 1e-3);
  EXPECT_NEAR(BusiestSending(costs, {{0, {0, 4}}, {1, {4, 8}}}, {{2, kAll}}), 8, 1e-3);
  EXPECT_NEAR(BusiestSending(costs, {{0, {0, 4}}, {1, {4, 8}}}, {{1, kAll}}), 4.4, 1e-3);
}

}  // namespace
}  // namespace baton::plan
