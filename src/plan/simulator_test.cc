#include "plan/simulator.h"

#include <gmock/gmock.h>

#include "plan/catalogue.h"
#include "plan/cluster_file.h"
#include "plan/oracle.h"
#include "plan/step_cost.h"

namespace baton::plan {
namespace {

// Llama-3.1-8B in F16.
ModelCost EightB() {
  ModelCost model{.name = "8b", .weight_type = DType::kF16};
  model.layer_weight_bytes.assign(32, 436'000'000);
  model.layer_flops_per_token = 436e6;
  model.embedding_bytes = model.head_bytes = 1'050'000'000;
  model.head_flops_per_token = 1.05e9;
  model.kv_elements = 2048;
  model.q_width = 4096;
  model.hidden_width = 4096;
  return model;
}

ClusterProfile Devices(const char* text) {
  return ParseClusterFile(text, Catalogue::Shipped()).value().cluster;
}

constexpr const char* kOne = "[[device]]\nis = \"m3-ultra\"\n";
constexpr const char* kPair =
    "[[device]]\nis = \"dgx-spark\"\n[[device]]\nis = \"m3-ultra\"\n[[link]]\nis = \"10gbe\"\n";

Workload Asked(int slots = 1) {
  return {.prompt_tokens = 2000,
          .answer_tokens = 65,
          .context_tokens = 4096,
          .slots = slots,
          .concurrency = 1,
          .chunk_tokens = 512};
}

struct Fleet {
  explicit Fleet(const char* text, Workload asked = Asked(), Constraints constraints = {})
      : cluster(Devices(text)), workload(asked) {
    plan = Make(cluster, model, workload, entry(), constraints).value().chosen;
  }
  NodeId entry() const { return cluster.nodes.back().id; }
  SimulationResult Run(const SimulationOptions& options) const {
    const auto result = Simulate(cluster, model, workload, plan, entry(), options);
    CHECK(result.ok(), "{}", result.error().message());
    return *result;
  }
  ModelCost model = EightB();
  ClusterProfile cluster;
  Workload workload;
  Plan plan;
};

TEST(Simulator, OneIdleNodeTakesWhatTheCostModelSays) {
  const Fleet fleet(kOne);
  const SimulationResult result = fleet.Run({.requests = 50, .requests_per_s = 1e-4});
  EXPECT_EQ(result.completed, 50);
  EXPECT_EQ(result.generated_tokens, 50 * 65);
  EXPECT_NEAR(result.wait_s.p99, 0, 1e-9);
  EXPECT_NEAR(result.ttft_s.p50 / fleet.plan.ttft_s, 1, 1e-9);
  EXPECT_NEAR(result.ttft_s.p99, result.ttft_s.p50, 1e-6);
  EXPECT_NEAR(result.total_s.p50 / fleet.plan.total_s, 1, 1e-4);
}

// A token's cost is linear in what it attends to, so the mean of all steps is the step at the
// mean length.
TEST(Simulator, StepsAddUpToTheCostModel) {
  const Fleet fleet(kOne);
  const DeviceProfile& device = fleet.cluster.nodes[0].device;
  const StepCosts steps(device, fleet.model, KvType::kF16);
  const LayerRange all{0, 32};
  for (const int chunk : {512, 2000, 300}) {
    double sum = 0;
    for (int first = 0; first < 2000; first += chunk) {
      const int count = std::min(chunk, 2000 - first);
      sum += steps.OfChunk(all, first, count, first + count == 2000).back();
    }
    Workload workload = fleet.workload;
    workload.chunk_tokens = chunk;
    EXPECT_NEAR(sum / CostOf(device, fleet.model, all, workload).prefill_whole_s, 1, 1e-9) << chunk;
  }
  const int contexts[] = {1000, 1400, 1800};
  Workload workload{.prompt_tokens = 1400, .answer_tokens = 0, .concurrency = 3};
  EXPECT_NEAR(steps.OfTokens(all, contexts, true).back() /
                  CostOf(device, fleet.model, all, workload).decode_step_s,
              1, 1e-9);
  // Layer by layer, and without the head.
  const auto parts = steps.OfTokens(all, contexts, false);
  EXPECT_EQ(parts.size(), 32u);
  EXPECT_TRUE(std::is_sorted(parts.begin(), parts.end()));
  EXPECT_LT(parts.back(), steps.OfTokens(all, contexts, true).back());
}

TEST(Simulator, AnIdlePairHandsOverAsThePlanSays) {
  const Fleet fleet(kPair, Asked(), [] {
    const ClusterProfile pair = Devices(kPair);
    return Constraints{.prefill_on = {pair.nodes[0].id}, .decode_on = {pair.nodes[1].id}};
  }());
  const SimulationResult result = fleet.Run({.requests = 20, .requests_per_s = 1e-4});
  EXPECT_NEAR(result.ttft_s.p50 / fleet.plan.ttft_s, 1, 1e-6);
  EXPECT_NEAR(result.total_s.p50 / fleet.plan.total_s, 1, 2e-3);
}

TEST(Simulator, EqualSeedsGiveEqualResults) {
  const Fleet fleet(kPair, Asked(4));
  const SimulationOptions options{.seed = 7,
                                  .replicas = 20,
                                  .requests = 2000,
                                  .requests_per_s = 20,
                                  .spread = 0.5,
                                  .failures_per_node_hour = 5};
  const SimulationResult one = fleet.Run(options), two = fleet.Run(options);
  EXPECT_EQ(one.end_s, two.end_s);
  EXPECT_EQ(one.ttft_s.p99, two.ttft_s.p99);
  EXPECT_EQ(one.total_s.mean, two.total_s.mean);
  EXPECT_EQ(one.restarts, two.restarts);
  SimulationOptions other = options;
  other.seed = 8;
  EXPECT_NE(fleet.Run(other).end_s, one.end_s);
}

TEST(Simulator, LittlesLaw) {
  const Fleet fleet(kOne, Asked(3));
  const SimulationResult result =
      fleet.Run({.replicas = 5, .requests = 5000, .requests_per_s = 1.5, .spread = 0.3});
  const double arrivals_per_s = static_cast<double>(result.completed) / result.end_s;
  EXPECT_GT(result.requests_inside, 1);
  EXPECT_NEAR(result.requests_inside / (arrivals_per_s * result.total_s.mean), 1, 1e-6);
}

// One slot, equal requests, a Poisson process: M/D/1, whose mean wait is known (Pollaczek and
// Khinchine): s rho / (2 (1 - rho)).
TEST(Simulator, OneSlotWaitsAsQueueingTheorySays) {
  const Fleet fleet(kOne);
  const double load = 0.7;
  const SimulationResult result =
      fleet.Run({.requests = 40'000, .requests_per_s = load / fleet.plan.total_s});
  const double expected_s = fleet.plan.total_s * load / (2 * (1 - load));
  EXPECT_NEAR(result.wait_s.mean / expected_s, 1, 0.05);
  EXPECT_NEAR(result.busy_share, load, 0.02);
}

// As many requests as there are slots, all the time.
constexpr SimulationOptions kFlood{.requests = 400, .requests_per_s = 1e9};

Workload Crowd(int slots) {
  Workload crowd = Asked(slots);
  crowd.concurrency = slots;
  crowd.objective = Objective::kThroughput;
  return crowd;
}

// Tokens of one step go on in one: batches do not fall apart as requests come and go.
TEST(Simulator, SlotsShareReadingTheWeights) {
  for (const int slots : {1, 3, 8}) {
    const Fleet fleet(kOne, Crowd(slots));
    EXPECT_NEAR(fleet.Run(kFlood).tokens_per_s() / fleet.plan.throughput_tokens_per_s(), 1, 0.05)
        << slots;
  }
}

// Two of a kind, in every way that they share the work: nodes of both roles, and a pipeline through
// a node that computes prompts, are not as quick as their busiest node alone would let them be.
TEST(Simulator, BusyPairsDoWhatThePlanSays) {
  constexpr const char* kTwins =
      "[[device]]\nis = \"m4-max\"\ncount = 2\n[[link]]\nis = \"25gbe\"\n";
  const ClusterProfile twins = Devices(kTwins);
  const NodeId a = twins.nodes[0].id, b = twins.nodes[1].id;
  const Constraints ways[] = {{.nodes = {a}},
                              {.prefill_on = {a}, .decode_on = {b}},
                              {.decode_on = {a, b}, .split = {16, 16}},
                              {.prefill_on = {a}, .decode_on = {b, a}, .split = {26, 6}},
                              {.prefill_on = {a}, .decode_on = {a, b}, .split = {6, 26}},
                              {.prefill_on = {b, a}, .decode_on = {b}},
                              {.prefill_on = {a, b}, .decode_on = {b}}};
  for (const int slots : {2, 4, 8}) {
    double best = 0;
    for (const Constraints& told : ways) {
      const Fleet fleet(kTwins, Crowd(slots), told);
      const double tokens_per_s = fleet.Run(kFlood).tokens_per_s();
      EXPECT_NEAR(fleet.plan.throughput_tokens_per_s() / tokens_per_s, 1, 0.2)
          << slots << " at once: " << fleet.plan.reason;
      best = std::max(best, tokens_per_s);
    }
    const Fleet chosen(kTwins, Crowd(slots), {.one_instance = true});
    EXPECT_GT(chosen.Run(kFlood).tokens_per_s(), 0.95 * best) << chosen.plan.reason;
  }
}

// Whatever nodes there are. (Links are quick: that activations share them is not simulated.)
TEST(Simulator, BusyClustersDoWhatThePlanSays) {
  Rng rng(27);
  int plans = 0, near = 0;
  for (int round = 0; round < 80; ++round) {
    drawn::Case drawn = drawn::Draw(rng, drawn::Between(rng, 2, 4), drawn::Between(rng, 4, 12),
                                    Objective::kThroughput);
    drawn.cluster.links.clear();
    for (const NodeProfile& from : drawn.cluster.nodes) {
      for (const NodeProfile& to : drawn.cluster.nodes) {
        if (from.id != to.id) drawn.cluster.links.push_back({from.id, to.id, 50, 2e10});
      }
    }
    Workload& workload = drawn.workload;
    workload.concurrency = workload.slots = drawn::Between(rng, 2, 8);
    workload.prompt_tokens = drawn::Between(rng, 64, 4000);
    workload.answer_tokens = drawn::Between(rng, 32, 256);
    const NodeId entry = drawn.cluster.nodes[0].id;
    const auto made = Make(drawn.cluster, drawn.model, workload, entry, {.one_instance = true});
    if (!made.ok()) continue;
    SimulationOptions flood = kFlood;
    flood.requests = 40 * workload.slots;
    const auto result = Simulate(drawn.cluster, drawn.model, workload, made->chosen, entry, flood);
    ASSERT_TRUE(result.ok()) << result.error().message();
    const double off = made->chosen.throughput_tokens_per_s() / result->tokens_per_s() - 1;
    ++plans;
    near += std::abs(off) < 0.15 ? 1 : 0;
    EXPECT_LT(std::abs(off), 0.6) << round << ": " << made->chosen.reason;
  }
  EXPECT_GT(near, 0.8 * plans) << "of " << plans;
}

TEST(Simulator, FailuresCostTimeAndNoTokens) {
  const Fleet fleet(kOne, Asked(2));
  SimulationOptions options{.replicas = 10, .requests = 1000, .requests_per_s = 2};
  const SimulationResult calm = fleet.Run(options);
  options.failures_per_node_hour = 30;
  const SimulationResult rough = fleet.Run(options);
  EXPECT_GT(rough.failures, 10);
  EXPECT_GT(rough.restarts, 10);
  EXPECT_EQ(rough.completed, calm.completed);
  EXPECT_EQ(rough.generated_tokens, calm.generated_tokens);
  EXPECT_GT(rough.total_s.mean, calm.total_s.mean);
}

TEST(Simulator, OptionsWithoutSenseAreRefused) {
  const Fleet fleet(kOne);
  const auto refused = Simulate(fleet.cluster, fleet.model, fleet.workload, fleet.plan,
                                fleet.entry(), {.requests = 10, .requests_per_s = -2});
  EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("-2"));
}

// Two that hold the model and hardly reach each other: what the plan promises of both together.
TEST(Simulator, InstancesOfAPlanShareTheRequests) {
  constexpr const char* kTwo =
      "[[device]]\nis = \"m3-ultra\"\n[[device]]\nis = \"dgx-spark\"\n"
      "[[link]]\nis = \"wifi-6\"\n";
  Workload crowd = Asked(8);
  crowd.concurrency = 8;
  crowd.objective = Objective::kThroughput;
  const Fleet both(kTwo, crowd);
  ASSERT_EQ(both.plan.instances.size(), 2u) << both.plan.reason;
  const SimulationOptions flood{.requests = 400, .requests_per_s = 1000};
  const SimulationResult result = both.Run(flood);
  EXPECT_EQ(result.completed, 400);
  EXPECT_GT(result.busy_share, 0.8) << "both work";
  for (const Plan& each : both.plan.instances) {
    Fleet one = both;
    one.plan = each;
    one.workload.slots = one.workload.concurrency = each.concurrency;
    EXPECT_GT(result.tokens_per_s(), 1.1 * one.Run(flood).tokens_per_s());
  }
  // A node ends its own instance only.
  SimulationOptions failing = flood;
  failing.requests_per_s = 0.5;
  failing.failures_per_node_hour = 20;
  const SimulationResult lossy = both.Run(failing);
  EXPECT_EQ(lossy.completed, 400);
  EXPECT_GT(lossy.restarts, 0);
}

}  // namespace
}  // namespace baton::plan
