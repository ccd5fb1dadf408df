#include "plan/explain.h"

#include <gmock/gmock.h>

#include "plan/random_cluster.h"

namespace baton::plan {
namespace {

using drawn::Id;
using testing::HasSubstr;

constexpr double kGigabit = 1e9 / 8;

NodeProfile Node(size_t n, double tflops, double gb_per_s, double memory_gb) {
  NodeProfile node{.id = Id(n), .name = fmt::format("n{}", n)};
  node.device.memory_bytes = static_cast<uint64_t>(memory_gb * 1e9);
  node.device.rates = {{DType::kF16, tflops * 1e12, gb_per_s * 1e9}};
  node.device.attention_flops_per_s = tflops * 1e12;
  node.device.kv_read_bytes_per_s = gb_per_s * 1e9;
  return node;
}

void Connect(ClusterProfile& cluster, double gbit, double rtt_us) {
  for (const NodeProfile& from : cluster.nodes) {
    for (const NodeProfile& to : cluster.nodes) {
      if (from.id != to.id) cluster.links.push_back({from.id, to.id, rtt_us, gbit * kGigabit});
    }
  }
}

// `gb` of weights in even layers, no head to speak of.
ModelCost Dense(int layers, double gb) {
  ModelCost model;
  model.name = "dense";
  const double layer_bytes = gb * 1e9 / layers;
  model.layer_weight_bytes.assign(static_cast<size_t>(layers), static_cast<uint64_t>(layer_bytes));
  model.layer_flops_per_token = layer_bytes;
  model.kv_elements = 2048;
  model.q_width = 4096;
  model.hidden_width = 4096;
  model.kv_heads = 8;
  return model;
}

// S x C / (C + S - 1): what chunks in a pipeline gain over S stages.
TEST(Pipeline, GainsWhatTheFormulaSays) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 50, 200, 100), Node(2, 50, 200, 100)};
  Connect(cluster, 1e6, 0);
  const ModelCost model = Dense(32, 16);
  for (const auto& [tokens, gain] :
       {std::pair(9400, 1.50), std::pair(28700, 1.78), std::pair(63800, 1.88)}) {
    const Workload workload{.prompt_tokens = tokens,
                            .context_tokens = tokens + 1,
                            .chunk_tokens = 4096,
                            .fine_pipelines = false};
    const CostTable costs(cluster, model, workload);
    const double alone = PrefillSeconds(costs, {{0, {0, 32}}});
    const double both = PrefillSeconds(costs, {{0, {0, 16}}, {1, {16, 32}}});
    EXPECT_NEAR(alone / both, gain, 0.01) << tokens;
  }
}

// --- Tensor groups ---

struct Anchor {
  double weights_gb, gb_per_s, sync_us;
  int layers;
};

double SavedMinusSyncs(const Anchor& anchor) {
  return anchor.weights_gb / anchor.gb_per_s / 2 - 2 * anchor.layers * anchor.sync_us * 1e-6;
}

// 2 L t_sync < (1 - 1/N) W / B, with the examples of 70B and 8B in Q4.
TEST(Sharded, ATensorGroupPaysWhereTheFormulaSays) {
  for (const Anchor& anchor : {Anchor{40, 231, 300, 80}, Anchor{40, 231, 100, 80},
                               Anchor{4.7, 231, 300, 32}, Anchor{4.7, 231, 100, 32}}) {
    SCOPED_TRACE(fmt::format("{} GB, {} us", anchor.weights_gb, anchor.sync_us));
    ClusterProfile cluster;
    cluster.nodes = {Node(1, 1e3, anchor.gb_per_s, 500), Node(2, 1e3, anchor.gb_per_s, 500)};
    // What a message takes besides half the round trip is the program's.
    Connect(cluster, 1e6, 2 * (anchor.sync_us - 60));
    const Workload workload{.prompt_tokens = 1, .answer_tokens = 100, .context_tokens = 64};
    const auto groups = WeighSharded(cluster, Dense(anchor.layers, anchor.weights_gb), workload);
    ASSERT_EQ(groups.size(), 1u);
    EXPECT_EQ(groups[0].units, (std::vector<int>{4, 4}));
    EXPECT_NEAR(groups[0].decode_sync_s, anchor.sync_us * 1e-6, 1e-6);
    EXPECT_EQ(groups[0].pays_in_decode, SavedMinusSyncs(anchor) > 0);
    EXPECT_THAT(groups[0].words, HasSubstr("cannot run it yet"));
  }
}

// A slow link carries the rows of one token in time, and not those of a chunk.
TEST(Sharded, PrefillAndDecodeAreJudgedSeparately) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 20, 50, 500), Node(2, 20, 50, 500)};
  Connect(cluster, 1, 50);
  const Workload workload{.prompt_tokens = 4096, .answer_tokens = 100, .chunk_tokens = 512};
  const auto groups = WeighSharded(cluster, Dense(80, 40), workload);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_TRUE(groups[0].pays_in_decode);
  EXPECT_FALSE(groups[0].pays_in_prefill);
}

TEST(Sharded, SharesFollowTheRatesInWholeUnits) {
  EXPECT_EQ(Shares(8, {1, 1}), (std::vector<int>{4, 4}));
  EXPECT_EQ(Shares(8, {3, 1}), (std::vector<int>{6, 2}));
  EXPECT_EQ(Shares(8, {100, 1, 1}), (std::vector<int>{6, 1, 1}));
  EXPECT_EQ(Shares(3, {1, 1, 1}), (std::vector<int>{1, 1, 1}));
}

// Of 128 experts, 8 drawn: the busiest of 2, 4 and 8 nodes reads 5.06, 3.5 and 2.53.
TEST(Sharded, TheBusiestNodesExperts) {
  EXPECT_NEAR(BusiestExpertsSeconds({64, 64}, {1, 1}, 8), 5.06, 0.02);
  EXPECT_NEAR(BusiestExpertsSeconds({32, 32, 32, 32}, {1, 1, 1, 1}, 8), 3.5, 0.02);
  EXPECT_NEAR(BusiestExpertsSeconds(std::vector<int>(8, 16), std::vector<double>(8, 1), 8), 2.53,
              0.02);
  EXPECT_DOUBLE_EQ(BusiestExpertsSeconds({128}, {2}, 8), 16);
  EXPECT_DOUBLE_EQ(BusiestExpertsSeconds({96, 32}, {1, 1}, 128), 96);
}

TEST(Sharded, ExpertsAreSplitWhereThatPays) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 100, 200, 500), Node(2, 100, 200, 500)};
  Connect(cluster, 100, 20);
  ModelCost model = Dense(40, 80);
  model.kv_heads = 0;
  model.experts = 128;
  model.experts_used = 8;
  for (const uint64_t bytes : model.layer_weight_bytes)
    model.layer_active_bytes.push_back(bytes / 10);
  const Workload workload{.prompt_tokens = 512, .answer_tokens = 100};
  const auto groups = WeighSharded(cluster, model, workload);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].kind, Sharding::kExpert);
  EXPECT_TRUE(groups[0].pays_in_decode);
  EXPECT_EQ(groups[0].units[0] + groups[0].units[1], 128);
}

// --- What binds, and what would better it ---

ClusterProfile SparkAndMac(double gbit) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 90, 178, 120), Node(2, 23.7, 605, 240)};
  Connect(cluster, gbit, 200);
  return cluster;
}

TEST(Explain, SaysWhatBindsEachPhase) {
  const ClusterProfile cluster = SparkAndMac(10);
  const ModelCost model = Dense(32, 16);
  const Workload workload{.prompt_tokens = 8192,
                          .answer_tokens = 32,
                          .context_tokens = 8704,
                          .chunk_tokens = 2048,
                          .fine_pipelines = false};
  const auto result = Make(cluster, model, workload, Id(2));
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(result->chosen.disaggregated());
  const Explanation said = Explain(cluster, model, workload, Id(2), {}, result->chosen);
  bool prefill = false, decode = false, hand_over = false;
  for (const StageBound& bound : said.bounds) {
    if (bound.hand_over) hand_over = true;
    if (!bound.slowest) continue;
    if (bound.prefill) {
      EXPECT_EQ(bound.part, Part::kCompute);
      EXPECT_GT(bound.share, 0.9);
      prefill = true;
    } else {
      EXPECT_EQ(bound.part, Part::kMemoryBandwidth);
      decode = true;
    }
  }
  EXPECT_TRUE(prefill && decode && hand_over);
  ASSERT_FALSE(said.upgrades.empty());
  double before = std::numeric_limits<double>::infinity();
  for (const Upgrade& upgrade : said.upgrades) {
    EXPECT_GT(upgrade.gain, 1);
    EXPECT_LE(upgrade.gain, before);
    EXPECT_LE(upgrade.total_s, result->chosen.total_s);
    before = upgrade.gain;
  }
  const Upgrade& first = said.upgrades.front();
  EXPECT_TRUE(first.part == Part::kCompute || first.part == Part::kMemoryBandwidth);
  EXPECT_THAT(first.words, HasSubstr("twice the "));
}

TEST(Explain, ASlowLinkIsWhatToBuy) {
  const ClusterProfile cluster = SparkAndMac(2.5);
  const ModelCost model = Dense(32, 16);
  const Workload workload{.prompt_tokens = 8192, .answer_tokens = 32, .context_tokens = 8704};
  const Constraints told{.prefill_on = {Id(1)}, .decode_on = {Id(2)}};
  const auto result = Make(cluster, model, workload, Id(2), told);
  ASSERT_TRUE(result.ok());
  const Explanation said = Explain(cluster, model, workload, Id(2), told, result->chosen);
  ASSERT_FALSE(said.upgrades.empty());
  EXPECT_EQ(said.upgrades.front().part, Part::kLink);
}

TEST(Explain, MemoryIsWhatToBuyWhereItForcesASplit) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 20, 800, 12), Node(2, 20, 50, 12)};
  Connect(cluster, 1, 200);
  const ModelCost model = Dense(32, 16);
  const Workload workload{.prompt_tokens = 128, .answer_tokens = 500, .context_tokens = 1024};
  const auto result = Make(cluster, model, workload, Id(1));
  ASSERT_TRUE(result.ok());
  const Explanation said = Explain(cluster, model, workload, Id(1), {}, result->chosen);
  ASSERT_FALSE(said.upgrades.empty());
  EXPECT_EQ(said.upgrades.front().part, Part::kMemory);
  EXPECT_EQ(said.upgrades.front().node, Id(1));
}

// --- Types that may be chosen ---

TEST(Planner, QuantisedKvIsChosenWhereTheLinkIsSlow) {
  ClusterProfile cluster = SparkAndMac(2.5);
  const ModelCost model = Dense(32, 16);
  Workload workload{.prompt_tokens = 8192, .answer_tokens = 32, .context_tokens = 8704};
  const auto exact = Make(cluster, model, workload, Id(2));
  workload.choose_kv_wire_type = true;
  const auto free = Make(cluster, model, workload, Id(2));
  ASSERT_TRUE(exact.ok() && free.ok());
  EXPECT_EQ(free->chosen.kv_wire_type, KvType::kQ8_0);
  EXPECT_LT(free->chosen.total_s, exact->chosen.total_s);
  EXPECT_THAT(free->chosen.reason, HasSubstr("q8_0"));
  // Where nothing is sent, nothing is lost for nothing.
  cluster.nodes.pop_back();
  const auto alone = Make(cluster, model, workload, Id(1));
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(alone->chosen.kv_wire_type, KvType::kF16);
}

// --- What stands ---

TEST(Reconsider, KeepsWhatStandsUnlessAMoveGainsEnough) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 20, 200, 60)};
  const ModelCost model = Dense(32, 16);
  const Workload workload{.answer_tokens = 500};
  const Plan standing = Make(cluster, model, workload, Id(1)).value().chosen;
  const auto again = [&](double gb_per_s) {
    cluster.nodes.resize(1);
    cluster.links.clear();
    cluster.nodes.push_back(Node(2, 20, gb_per_s, 60));
    Connect(cluster, 1, 200);
    return Reconsider(cluster, model, workload, Id(1), {}, standing).value();
  };
  const PlanResult kept = again(210);
  EXPECT_EQ(kept.chosen.decode.front().node, Id(1)) << kept.chosen.reason;
  EXPECT_THAT(kept.chosen.reason, HasSubstr("stands"));
  ASSERT_FALSE(kept.alternatives.empty());
  EXPECT_EQ(kept.alternatives.front().plan.decode.front().node, Id(2));
  EXPECT_EQ(again(400).chosen.decode.front().node, Id(2));
}

TEST(Reconsider, LeavesWhatCannotGoOn) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 20, 200, 60), Node(2, 20, 190, 60)};
  Connect(cluster, 1, 200);
  const ModelCost model = Dense(32, 16);
  const Workload workload{.answer_tokens = 500};
  const Plan standing = Make(cluster, model, workload, Id(1)).value().chosen;
  ASSERT_EQ(standing.decode.front().node, Id(1));
  const auto node_now = [&](const ClusterProfile& now, const Constraints& constraints = {}) {
    return Reconsider(now, model, workload, Id(2), constraints, standing)
        .value()
        .chosen.decode.front()
        .node;
  };
  ClusterProfile gone = cluster;
  gone.nodes.erase(gone.nodes.begin());
  EXPECT_EQ(node_now(gone), Id(2));
  ClusterProfile full = cluster;
  full.nodes[0].device.memory_bytes = 1'000'000'000;
  EXPECT_EQ(node_now(full), Id(2));
  ClusterProfile without = cluster;
  without.nodes[0].has_model = false;
  EXPECT_EQ(node_now(without), Id(2));
  EXPECT_EQ(node_now(cluster, {.nodes = {Id(2)}}), Id(2)) << "the owner's word has changed";
  EXPECT_EQ(Reconsider(cluster, model, workload, Id(1), {}, Plan()).value().chosen.decode.size(),
            1u)
      << "nothing stands";
}

}  // namespace
}  // namespace baton::plan
