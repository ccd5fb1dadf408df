#include <gmock/gmock.h>

#include "base/random.h"
#include "plan/cost.h"
#include "plan/evaluate.h"
#include "plan/planner.h"

namespace baton::plan {
namespace {

NodeId Id(uint8_t n) {
  std::array<uint8_t, 32> key{};
  key[0] = n;
  return NodeId(key);
}

NodeProfile Node(uint8_t n, double tflops, double gb_per_s, double memory_gb) {
  DeviceProfile device;
  device.name = fmt::format("device {}", n);
  device.memory_bytes = static_cast<uint64_t>(memory_gb * 1e9);
  device.rates = {{DType::kF16, tflops * 1e12, gb_per_s * 1e9}};
  device.attention_flops_per_s = tflops * 1e12;
  device.kv_read_bytes_per_s = gb_per_s * 1e9;
  return {Id(n), fmt::format("n{}", n), device, true};
}

void Connect(ClusterProfile& cluster, uint8_t a, uint8_t b, double gbit, double rtt_us = 200) {
  cluster.links.push_back({Id(a), Id(b), rtt_us, gbit / 8 * 1e9});
  cluster.links.push_back({Id(b), Id(a), rtt_us, gbit / 8 * 1e9});
}

// Llama-3.1-8B in F16.
ModelCost Llama8B() {
  ModelCost model;
  model.name = "llama-3.1-8b";
  const double layer_parameters = 218e6;
  model.layer_weight_bytes.assign(32, static_cast<uint64_t>(layer_parameters * 2));
  model.layer_flops_per_token = 2 * layer_parameters;
  model.embedding_bytes = model.head_bytes = 1'050'673'152;
  model.head_flops_per_token = 2.0 * 4096 * 128256;
  model.kv_elements = 2048;
  model.q_width = 4096;
  model.hidden_width = 4096;
  return model;
}

// DESIGN section 1: a DGX Spark and a Mac Studio M3 Ultra, at the rates that their published times
// imply.
ClusterProfile SparkAndMac(double gbit) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 90, 178, 120), Node(2, 23.7, 605, 240)};
  Connect(cluster, 1, 2, gbit);
  return cluster;
}

Workload Demonstration() {
  return {.prompt_tokens = 8192, .answer_tokens = 32, .context_tokens = 8704};
}

Plan Published(double gbit) {
  return Make(SparkAndMac(gbit), Llama8B(), Demonstration(), Id(2),
              {.prefill_on = {Id(1)}, .decode_on = {Id(2)}})
      .value()
      .chosen;
}

Plan AloneOn(uint8_t node) {
  return Make(SparkAndMac(10), Llama8B(), Demonstration(), Id(node), {.nodes = {Id(node)}})
      .value()
      .chosen;
}

TEST(Planner, PredictsThePublishedDemonstration) {
  EXPECT_NEAR(AloneOn(1).total_s, 4.34, 0.22);
  EXPECT_NEAR(AloneOn(2).total_s, 6.42, 0.32);
  const Plan pair = Published(10);
  EXPECT_NEAR(pair.total_s, 2.32, 0.12);
  EXPECT_TRUE(pair.kv_hidden);
}

TEST(Planner, FreeToChooseItIsAtLeastAsGoodAsThePublishedPair) {
  const auto result = Make(SparkAndMac(10), Llama8B(), Demonstration(), Id(2));
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_TRUE(result->chosen.disaggregated());
  EXPECT_EQ(result->chosen.decode.size(), 1u);
  EXPECT_EQ(result->chosen.decode.front().node, Id(2));
  EXPECT_LE(result->chosen.total_s, Published(10).total_s);
  EXPECT_THAT(result->chosen.reason, testing::HasSubstr("decode on n2"));
  ASSERT_FALSE(result->alternatives.empty());
  for (const Alternative& other : result->alternatives) EXPECT_FALSE(other.why.empty());
}

TEST(Planner, ASlowLinkExposesTheTransfer) {
  // Section 7: on 2.5 GbE the pair would lose to the Spark alone.
  Workload in_one = Demonstration();
  in_one.chunk_tokens = in_one.prompt_tokens;
  const Constraints pair{.prefill_on = {Id(1)}, .decode_on = {Id(2)}};
  const Plan late = Make(SparkAndMac(2.5), Llama8B(), in_one, Id(2), pair).value().chosen;
  EXPECT_FALSE(late.kv_hidden);
  EXPECT_GT(late.total_s, AloneOn(1).total_s);
  // In smaller chunks it is on its way sooner.
  EXPECT_LT(Published(2.5).total_s, late.total_s);
  const auto result = Make(SparkAndMac(2.5), Llama8B(), Demonstration(), Id(2));
  ASSERT_TRUE(result.ok());
  EXPECT_LE(result->chosen.total_s, AloneOn(1).total_s);
}

TEST(Planner, AShortPromptStaysWhereItIsGenerated) {
  ClusterProfile cluster = SparkAndMac(1);
  const Workload chat{.prompt_tokens = 16, .answer_tokens = 500, .context_tokens = 1024};
  const auto result = Make(cluster, Llama8B(), chat, Id(2));
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->chosen.disaggregated());
  EXPECT_EQ(result->chosen.decode.front().node, Id(2));
}

TEST(Planner, SplitsLayersOnlyWhenOneNodeCannotHoldThem) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 20, 200, 12), Node(2, 20, 200, 12)};
  Connect(cluster, 1, 2, 10);
  const auto split = Make(cluster, Llama8B(), {.context_tokens = 2048}, Id(1));
  ASSERT_TRUE(split.ok()) << split.error().message();
  EXPECT_EQ(split->chosen.decode.size(), 2u);
  for (const StagePlan& stage : split->chosen.decode) EXPECT_LE(stage.memory_bytes, 12'000'000'000);
  cluster.nodes[0] = Node(1, 20, 200, 40);
  const auto whole =
      Make(cluster, Llama8B(), {.answer_tokens = 2000, .context_tokens = 2048}, Id(1));
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->chosen.decode.size(), 1u);
}

TEST(Planner, TakesAsManyNodesAsTheModelNeeds) {
  ClusterProfile cluster;
  for (uint8_t i = 1; i <= 12; ++i) {
    cluster.nodes.push_back(Node(i, 1, 50, i <= 2 ? 3.0 : 2.2));
    for (uint8_t j = 1; j < i; ++j) Connect(cluster, i, j, 1);
  }
  const auto many = Make(cluster, Llama8B(), {.context_tokens = 2048}, Id(1));
  ASSERT_TRUE(many.ok()) << many.error().message();
  EXPECT_GT(many->chosen.decode.size(), 6u);
  EXPECT_LT(many->chosen.decode.size(), 12u);
  for (const StagePlan& stage : many->chosen.decode)
    EXPECT_LE(stage.memory_bytes, cluster.FindNode(stage.node)->device.memory_bytes);
}

TEST(Planner, SaysWhatIsLacking) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 20, 200, 4)};
  const auto small = Make(cluster, Llama8B(), {}, Id(1));
  EXPECT_EQ(small.error().code(), Code::kFailedPrecondition);
  EXPECT_THAT(small.error().message(), testing::HasSubstr("4.0 GB"));
  cluster.nodes[0].has_model = false;
  EXPECT_THAT(Make(cluster, Llama8B(), {}, Id(1)).error().message(),
              testing::HasSubstr("llama-3.1-8b"));
}

TEST(Planner, ObeysTheOwner) {
  ClusterProfile cluster = SparkAndMac(10);
  Constraints told{.prefill_on = {Id(2)}, .decode_on = {Id(1)}};
  const auto reversed = Make(cluster, Llama8B(), Demonstration(), Id(1), told);
  ASSERT_TRUE(reversed.ok());
  EXPECT_EQ(reversed->chosen.prefill.front().node, Id(2));
  EXPECT_EQ(reversed->chosen.decode.front().node, Id(1));

  const auto split = Make(cluster, Llama8B(), Demonstration(), Id(1),
                          {.decode_on = {Id(1), Id(2)}, .split = {10, 22}});
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->chosen.decode[1].layers, (LayerRange{10, 32}));
  EXPECT_FALSE(
      Make(cluster, Llama8B(), {}, Id(1), {.decode_on = {Id(1), Id(2)}, .split = {10, 10}}).ok());
  EXPECT_FALSE(Make(cluster, Llama8B(), {}, Id(1), {.decode_on = {Id(9)}}).ok());
  EXPECT_FALSE(Make(cluster, Llama8B(), {}, Id(1), {.decode_on = {Id(1), Id(1)}}).ok());
}

TEST(Planner, NeverSlowerThanTheBestSingleNodeAndNeverOverMemory) {
  Rng rng(4);
  for (int round = 0; round < 60; ++round) {
    ClusterProfile cluster;
    const auto count = static_cast<uint8_t>(1 + rng.Below(4));
    for (uint8_t i = 1; i <= count; ++i) {
      cluster.nodes.push_back(
          Node(i, 1 + rng.Uniform() * 100, 20 + rng.Uniform() * 800, 6 + rng.Uniform() * 60));
      for (uint8_t j = 1; j < i; ++j) Connect(cluster, i, j, 0.5 + rng.Uniform() * 20);
    }
    Workload workload = Demonstration();
    workload.prompt_tokens = static_cast<int>(1 + rng.Below(8192));
    workload.answer_tokens = static_cast<int>(1 + rng.Below(500));
    const auto result = Make(cluster, Llama8B(), workload, Id(1));
    if (!result.ok()) continue;
    for (const Alternative& other : result->alternatives)
      EXPECT_LE(result->chosen.total_s, other.plan.total_s);
    for (const auto* stages : {&result->chosen.prefill, &result->chosen.decode}) {
      for (const StagePlan& stage : *stages)
        EXPECT_LE(stage.memory_bytes, cluster.FindNode(stage.node)->device.memory_bytes);
    }
    const auto again = Make(cluster, Llama8B(), workload, Id(1));
    EXPECT_EQ(again->chosen.reason, result->chosen.reason);
    EXPECT_EQ(again->chosen.total_s, result->chosen.total_s);
  }
}

// Half the layers see 512 tokens: of 8192, the others' keys are read and sent, and of these 512.
TEST(Planner, WindowsAreReadAndSentAlone) {
  ModelCost model = Llama8B();
  const Workload workload = Demonstration();
  const ClusterProfile cluster = SparkAndMac(2.5);
  const LayerRange all{0, 32};
  const StageCost whole = CostOf(cluster.nodes[1].device, model, all, workload);
  for (int layer = 0; layer < 32; ++layer) model.layer_windows.push_back(layer % 2 == 0 ? 512 : 0);
  EXPECT_EQ(model.SeenTokens(all, 8192), 16 * (8192 + 512));
  EXPECT_EQ(model.SeenTokens(all, 100), 32 * 100);
  const StageCost windowed = CostOf(cluster.nodes[1].device, model, all, workload);
  EXPECT_NEAR(whole.decode_step_s - windowed.decode_step_s, 16 * (8208 - 512) * 4096 / 605e9, 1e-6);
  const double attention_s = 8192.0 * 4096 * 4 * 4096 * 32 / 23.7e12;
  EXPECT_NEAR(whole.prefill_whole_s - windowed.prefill_whole_s,
              attention_s / 2 * (1 - (512 * (8192 - 256.0)) / (8192.0 * 4096)), 1e-6);
}

TEST(Estimate, DecidesPerPrompt) {
  const ClusterProfile cluster = SparkAndMac(10);
  const auto result = Make(cluster, Llama8B(), Demonstration(), Id(2));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(
      Estimate(cluster, Llama8B(), result->chosen, Demonstration(), 8192, 8192).remote_prefill);
  EXPECT_FALSE(
      Estimate(cluster, Llama8B(), result->chosen, Demonstration(), 1, 8192).remote_prefill)
      << "the decode node has the prefix already";
}

// Whoever has something to say to another needs a link for it, however little it is.
TEST(Plan, NobodyIsOutOfReach) {
  ClusterProfile cluster = SparkAndMac(10);
  cluster.nodes.push_back(cluster.nodes[0]);
  cluster.nodes[2].id = Id(3);
  for (const int other : {1, 2}) {
    cluster.links.push_back({Id(3), Id(other), 50, 1e9});
    cluster.links.push_back({Id(other), Id(3), 50, 1e9});
  }
  const Constraints told{.prefill_on = {Id(1), Id(3)}, .decode_on = {Id(2)}};
  const NodeId entry = Id(2);
  EXPECT_TRUE(Make(cluster, Llama8B(), Demonstration(), entry, told).ok());
  const std::pair<NodeId, NodeId> needed[] = {{Id(3), Id(1)},   // credits
                                              {Id(2), Id(1)},   // requests
                                              {Id(3), Id(2)}};  // tokens
  for (const auto& [from, to] : needed) {
    ClusterProfile lacking = cluster;
    std::erase_if(lacking.links,
                  [&](const LinkProfile& link) { return link.from == from && link.to == to; });
    EXPECT_FALSE(Make(lacking, Llama8B(), Demonstration(), entry, told).ok())
        << from.Short() << " to " << to.Short();
  }
}

// Two of a kind: a prompt is there sooner where it is needed, but it would stop all answers there.
TEST(Estimate, ForThroughputAnswersAreNotStopped) {
  ClusterProfile cluster = SparkAndMac(10);
  cluster.nodes[1].device = cluster.nodes[0].device;
  const Constraints apart{.prefill_on = {Id(1)}, .decode_on = {Id(2)}};
  Workload workload = Demonstration();
  workload.concurrency = workload.slots = 4;
  const auto result = Make(cluster, Llama8B(), workload, Id(2), apart);
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(Estimate(cluster, Llama8B(), result->chosen, workload, 2048, 2048).remote_prefill);
  workload.objective = Objective::kThroughput;
  EXPECT_TRUE(Estimate(cluster, Llama8B(), result->chosen, workload, 2048, 2048).remote_prefill);
}

// gpt-oss: every other layer sees 128 tokens. Its pages hold that and a chunk, whatever the
// context.
TEST(Memory, LayersWithAWindowHoldTheirWindow) {
  ModelCost model = Llama8B();
  const LayerRange all{0, 32};
  const auto kv_bytes = [&](int context) {
    const Workload workload{.context_tokens = context};
    const Workload none{.context_tokens = 0};
    return MemoryFor(model, all, workload) - MemoryFor(model, all, none);
  };
  const uint64_t in_layer = model.KvBytesPerTokenPerLayer(KvType::kF16);
  EXPECT_EQ(kv_bytes(8192), 32 * 8192 * in_layer);
  for (int layer = 0; layer < 32; ++layer) model.layer_windows.push_back(layer % 2 == 0 ? 128 : 0);
  const uint64_t held = 64 * (2 + 9);
  EXPECT_EQ(kv_bytes(8192), 16 * (8192 + held) * in_layer);
  EXPECT_EQ(kv_bytes(131072), 16 * (131072 + held) * in_layer);
  EXPECT_EQ(kv_bytes(128), 32 * 128 * in_layer);
}

}  // namespace
}  // namespace baton::plan
