// Several instances: against trying every partition and division, and what holds for every cluster.
#include "plan/division.h"

#include <cstdlib>

#include <gmock/gmock.h>

#include "plan/explain.h"
#include "plan/oracle.h"
#include "plan/planner.h"

namespace baton::plan {
namespace {

using namespace baton::plan::drawn;  // NOLINT
using testing::HasSubstr;

// BATON_PLAN_CLUSTERS=10000 is what the planner is judged by; fewer find a mistake as well.
int Clusters(int usual) {
  const char* said = std::getenv("BATON_PLAN_CLUSTERS");
  return said == nullptr ? usual : std::atoi(said);
}

TEST(Division, EqualsTheOracle) {
  Rng rng(31);
  int divided = 0;
  int fitting = 0;
  double worst = 0;
  for (int round = 0; round < Clusters(200); ++round) {
    const int nodes = Between(rng, 1, static_cast<int>(kNodesWeighedInFull));
    const int layers = Between(rng, 1, nodes >= 5 ? 4 : 6);
    Case drawn = Draw(rng, nodes, layers, kObjectives[round % 2]);
    drawn.workload.concurrency = drawn.workload.slots = Between(rng, 2, nodes >= 5 ? 5 : 8);
    SCOPED_TRACE(fmt::format("round {}: {} nodes, {} layers", round, nodes, layers));
    const double expected = DivisionOracle(drawn).Best();
    const auto result = Make(drawn.cluster, drawn.model, drawn.workload, drawn.cluster.nodes[0].id);
    ASSERT_EQ(result.ok(), std::isfinite(expected));
    if (!result.ok()) continue;
    ++fitting;
    divided += result->chosen.instances.empty() ? 0 : 1;
    const double seconds = SecondsOf(result->chosen, drawn.workload.objective);
    worst = std::max(worst, seconds / expected - 1);
    EXPECT_LE(seconds, expected * 1.01) << result->chosen.reason;
    EXPECT_GE(seconds, expected * (1 - 1e-9)) << result->chosen.reason;
  }
  EXPECT_GT(divided, fitting / 10);
  fmt::print("{} clusters that hold their model, {} divided, at worst {:.4f} % above the best\n",
             fitting, divided, 100 * worst);
}

// One device more than are weighed in full: where only parts of the requests fit anywhere, there is
// no plan of one instance to begin with (round 95 of these).
TEST(Division, ASeventhDeviceLosesNoPlan) {
  Rng rng(40);
  for (int round = 0; round < 100; ++round) {
    const int layers = Between(rng, 1, 4);
    Case drawn = Draw(rng, static_cast<int>(kNodesWeighedInFull), layers, kObjectives[round % 2]);
    drawn.workload.concurrency = drawn.workload.slots = Between(rng, 2, 8);
    const NodeId entry = drawn.cluster.nodes[0].id;
    const auto six = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    AddNode(rng, drawn.cluster,
            static_cast<double>(MemoryFor(drawn.model, {0, layers}, drawn.workload)));
    const auto seven = Make(drawn.cluster, drawn.model, drawn.workload, entry);
    EXPECT_TRUE(seven.ok() || !six.ok()) << "round " << round << ": " << seven.error().message();
  }
}

// --- What a few clusters say ---

NodeProfile Node(size_t n, double tflops, double gb_per_s, double memory_gb) {
  NodeProfile node{.id = Id(n), .name = fmt::format("n{}", n)};
  node.device.memory_bytes = static_cast<uint64_t>(memory_gb * 1e9);
  node.device.rates = {{DType::kF16, tflops * 1e12, gb_per_s * 1e9}};
  node.device.attention_flops_per_s = tflops * 1e12;
  node.device.kv_read_bytes_per_s = gb_per_s * 1e9;
  return node;
}

void Connect(ClusterProfile& cluster, double gbit, double rtt_us) {
  for (const NodeProfile& a : cluster.nodes) {
    for (const NodeProfile& b : cluster.nodes) {
      if (a.id != b.id) cluster.links.push_back({a.id, b.id, rtt_us, gbit / 8 * 1e9});
    }
  }
}

// 16 GB of weights in 32 layers.
ModelCost Dense() {
  ModelCost model;
  model.name = "dense";
  model.layer_weight_bytes.assign(32, 500'000'000);
  model.layer_flops_per_token = 500e6;
  model.embedding_bytes = model.head_bytes = 500'000'000;
  model.head_flops_per_token = 500e6;
  model.kv_elements = 2048;
  model.q_width = model.hidden_width = 4096;
  return model;
}

Workload Crowd(int concurrency, Objective objective = Objective::kThroughput) {
  return {.prompt_tokens = 512,
          .answer_tokens = 200,
          .context_tokens = 1024,
          .slots = concurrency,
          .concurrency = concurrency,
          .objective = objective};
}

ClusterProfile Twins(size_t count, double memory_gb, double gbit = 0.02, double rtt_us = 20000) {
  ClusterProfile cluster;
  for (size_t n = 1; n <= count; ++n) cluster.nodes.push_back(Node(n, 20, 200, memory_gb));
  Connect(cluster, gbit, rtt_us);
  return cluster;
}

TEST(Division, EqualDevicesThatHoldTheModelAreInstances) {
  for (const Objective objective : {Objective::kThroughput, Objective::kLatency}) {
    const auto result = Make(Twins(4, 60), Dense(), Crowd(16, objective), Id(1));
    ASSERT_TRUE(result.ok());
    const Plan& plan = result->chosen;
    ASSERT_EQ(plan.instances.size(), 4u) << plan.reason;
    double tokens_per_s = 0;
    for (const Plan& each : plan.instances) {
      EXPECT_EQ(each.concurrency, 4);
      EXPECT_EQ(each.slots, 4);
      EXPECT_LE(each.total_s, plan.total_s);
      tokens_per_s += each.throughput_tokens_per_s();
    }
    EXPECT_NEAR(plan.throughput_tokens_per_s(), tokens_per_s, 1e-6 * tokens_per_s);
    EXPECT_EQ(plan.concurrency, 16);
    EXPECT_THAT(plan.reason, HasSubstr("4 instances"));
    const auto one =
        std::find_if(result->alternatives.begin(), result->alternatives.end(),
                     [](const Alternative& other) { return other.plan.instances.empty(); });
    ASSERT_NE(one, result->alternatives.end());
    EXPECT_THAT(one->why, HasSubstr("one instance"));
    EXPECT_LT(one->plan.throughput_tokens_per_s(), tokens_per_s);
  }
}

TEST(Division, OneRequestIsNeverDivided) {
  Rng rng(32);
  for (int round = 0; round < 200; ++round) {
    Case drawn = Draw(rng, Between(rng, 2, 9), Between(rng, 1, 9), kObjectives[round % 3]);
    drawn.workload.concurrency = 1;
    drawn.workload.slots = 4;
    const auto result = Make(drawn.cluster, drawn.model, drawn.workload, drawn.cluster.nodes[0].id);
    if (!result.ok()) continue;
    EXPECT_TRUE(result->chosen.instances.empty());
    for (const Alternative& other : result->alternatives) EXPECT_TRUE(other.plan.instances.empty());
  }
}

TEST(Division, FewNodesStayFew) {
  const auto result = Make(Twins(4, 60), Dense(), Crowd(8, Objective::kFit), Id(1));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->chosen.instances.empty());
  EXPECT_EQ(NodesUsed(result->chosen).size(), 1u);
}

TEST(Division, SharesFollowWhatAnInstanceCanDo) {
  ClusterProfile cluster;
  cluster.nodes = {Node(1, 20, 400, 20000), Node(2, 10, 200, 20000)};
  Connect(cluster, 0.02, 20000);
  const Workload workload = Crowd(9, Objective::kLatency);
  const auto whole = Make(cluster, Dense(), workload, Id(1));
  ASSERT_TRUE(whole.ok());
  EXPECT_TRUE(whole->chosen.instances.empty()) << "the weights alone take the slow one longer";
  ModelCost model = Dense();
  model.kv_elements = 2'000'000;  // so that a request costs more than the weights
  const auto divided = Make(cluster, model, workload, Id(1));
  ASSERT_TRUE(divided.ok());
  ASSERT_EQ(divided->chosen.instances.size(), 2u) << divided->chosen.reason;
  EXPECT_EQ(divided->chosen.instances[0].concurrency, 6);
  EXPECT_EQ(divided->chosen.instances[1].concurrency, 3);
}

// Each pair holds the model, no node does.
TEST(Division, GroupsThatEachSplitTheModel) {
  const auto result = Make(Twins(4, 10), Dense(), Crowd(8), Id(1));
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->chosen.instances.size(), 2u) << result->chosen.reason;
  for (const Plan& each : result->chosen.instances) {
    EXPECT_EQ(each.decode.size(), 2u);
    for (const StagePlan& stage : each.decode) EXPECT_LE(stage.memory_bytes, 10'000'000'000u);
  }
}

// The KV of all requests fits on neither node, that of half of them does.
TEST(Division, AShareOfTheRequestsTakesAShareOfTheMemory) {
  Workload workload = Crowd(8);
  workload.context_tokens = 16384;
  const ClusterProfile cluster = Twins(2, 30, 0.001, 50000);
  const auto result = Make(cluster, Dense(), workload, Id(1));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->chosen.instances.size(), 2u) << result->chosen.reason;
  EXPECT_FALSE(Make(cluster, Dense(), workload, Id(1), {.nodes = {Id(1)}}).ok());
}

TEST(Division, TheOwnersWordIsOneInstance) {
  const ClusterProfile cluster = Twins(3, 60);
  for (const Constraints& told :
       {Constraints{.decode_on = {Id(2)}}, Constraints{.one_instance = true},
        Constraints{.nodes = {Id(1), Id(2)}, .split = {16, 16}}}) {
    const auto result = Make(cluster, Dense(), Crowd(8), Id(1), told);
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(result->chosen.instances.empty());
  }
  const auto two = Make(cluster, Dense(), Crowd(8), Id(1), {.nodes = {Id(1), Id(3)}});
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->chosen.instances.size(), 2u);
  EXPECT_THAT(NodesUsed(two->chosen), testing::ElementsAre(Id(1), Id(3)));
}

TEST(Division, StandsUnlessAMoveGainsEnough) {
  ClusterProfile cluster = Twins(2, 60);
  const Plan standing = Make(cluster, Dense(), Crowd(8), Id(1)).value().chosen;
  ASSERT_EQ(standing.instances.size(), 2u);
  cluster.nodes[0].device.rates[0].Scale(1.2, 1.2);
  const auto again = Reconsider(cluster, Dense(), Crowd(8), Id(1), {}, standing);
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->chosen.instances.size(), 2u);
  EXPECT_EQ(again->chosen.instances[0].concurrency, standing.instances[0].concurrency);
  ClusterProfile one = cluster;
  one.nodes.pop_back();
  const auto alone = Reconsider(one, Dense(), Crowd(8), Id(1), {}, standing);
  ASSERT_TRUE(alone.ok());
  EXPECT_TRUE(alone->chosen.instances.empty()) << alone->chosen.reason;
}

TEST(Division, IsExplainedInstanceByInstance) {
  const ClusterProfile cluster = Twins(2, 60);
  const auto result = Make(cluster, Dense(), Crowd(8), Id(1));
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->chosen.instances.size(), 2u);
  const Explanation said = Explain(cluster, Dense(), Crowd(8), Id(1), {}, result->chosen);
  for (const Plan& each : result->chosen.instances) {
    const StagePlan& stage = each.decode.front();
    EXPECT_EQ(std::count_if(said.bounds.begin(), said.bounds.end(),
                            [&](const StageBound& bound) {
                              return bound.node == stage.node && bound.slowest &&
                                     (bound.prefill || bound.seconds == stage.decode_s);
                            }),
              2)
        << "in each phase, at its share of the requests";
  }
  ASSERT_FALSE(said.upgrades.empty());
  for (const Upgrade& upgrade : said.upgrades) EXPECT_GT(upgrade.gain, 1);
}

// A rack: more nodes than can be partitioned.
TEST(Division, ManyNodesAreInstancesToo) {
  const auto alone = Make(Twins(12, 60), Dense(), Crowd(24), Id(1));
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(alone->chosen.instances.size(), 12u) << alone->chosen.reason;
  for (const Plan& each : alone->chosen.instances) EXPECT_EQ(each.concurrency, 2);
  const auto pairs = Make(Twins(16, 10), Dense(), Crowd(32), Id(1));
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ(pairs->chosen.instances.size(), 8u) << pairs->chosen.reason;
}

// Very many, of which it takes sixteen or more to hold the model, and little time.
TEST(Division, VeryManySmallNodesAreInstancesToo) {
  ModelCost model = Dense();
  model.layer_weight_bytes.assign(80, 500'000'000);
  for (const Objective objective : {Objective::kThroughput, Objective::kLatency}) {
    const auto result = Make(Twins(64, 3), model, Crowd(8, objective), Id(1));
    ASSERT_TRUE(result.ok());
    EXPECT_GE(result->chosen.instances.size(), 2u) << result->chosen.reason;
  }
}

}  // namespace
}  // namespace baton::plan
