// What devices measured between their two ends: few tokens, short and long contexts, power.
#include "plan/profile.h"

#include <gmock/gmock.h>

#include "plan/cost.h"
#include "plan/planner.h"

namespace baton::plan {
namespace {

// Reads 1e11 bytes and computes 1e13 FLOPs of F16 per second: both bind at a hundred tokens.
TypeRate Rate(std::vector<BatchRate> batches = {}) {
  return {DType::kF16, 1e13, 1e11, std::move(batches)};
}

// Of a product with so many tokens that takes `excess` times what the two ends say.
BatchRate Measured(int tokens, double excess) {
  const double roofline_s = std::max(1e-11, tokens * 1e-13);  // per byte, which is one FLOP a token
  return {tokens, tokens / (excess * roofline_s)};
}

TEST(TypeRate, TheEndsAreAsMeasured) {
  for (const TypeRate& rate : {Rate(), Rate({Measured(64, 1.5)})}) {
    for (const double tokens : {0.0, 1.0, 512.0, 4096.0}) EXPECT_EQ(rate.Excess(tokens), 1);
  }
  EXPECT_EQ(Rate().Excess(64), 1);
}

TEST(TypeRate, InBetweenFollowsTheLinesOfWhatWasMeasured) {
  const TypeRate rate = Rate({Measured(4, 1.25), Measured(64, 1.5)});
  EXPECT_NEAR(rate.Excess(4), 1.25, 1e-12);
  EXPECT_NEAR(rate.Excess(64), 1.5, 1e-12);
  EXPECT_NEAR(rate.Excess(34), (1.25 + 1.5) / 2, 1e-12);  // reading binds on all this line
  // From 1.5e-11 s at 64 tokens to 5.12e-11 at 512.
  const double at_288 = (1.5e-11 + 5.12e-11) / 2;
  EXPECT_NEAR(rate.Excess(288), at_288 / 2.88e-11, 1e-9);
}

TEST(TypeRate, WhatCannotBeIsNotBelieved) {
  EXPECT_EQ(Rate({Measured(16, 100)}).Excess(16), 4);
  EXPECT_EQ(Rate({Measured(16, 0.01)}).Excess(16), 0.8);
}

TEST(TypeRate, AFasterDeviceKeepsItsExcess) {
  TypeRate rate = Rate({Measured(4, 1.25), Measured(64, 1.5)});
  rate.Scale(2, 1);
  EXPECT_EQ(rate.matmul_flops_per_s, 2e13);
  EXPECT_NEAR(rate.Excess(4), 1.25, 1e-12);
  EXPECT_NEAR(rate.Excess(64), 1.5, 1e-12);
}

// Read at 40 GB/s where reading alone gets 50, and at 80 from the caches.
TypeRate AtFifty() {
  TypeRate rate{DType::kF16, 1e13, 40e9};
  rate.cached_bytes_per_s = 80e9;
  rate.batches = {{4, 100e9}, {64, 800e9}};
  return rate;
}

TEST(TypeRate, FollowsMemoryAsFarAsComputingAllows) {
  TypeRate rate = AtFifty();
  rate.FollowReading(50e9, 25e9);
  EXPECT_NEAR(rate.read_bytes_per_s, 20e9, 1) << "half of it";
  rate = AtFifty();
  rate.FollowReading(50e9, 75e9);
  EXPECT_NEAR(rate.read_bytes_per_s, 60e9, 1);
  for (const double fast : {80e9, 160e9, 1e13}) {
    rate = AtFifty();
    rate.FollowReading(50e9, fast);
    EXPECT_NEAR(rate.read_bytes_per_s, 64e9, 1) << "as much better as 80 is than 50";
  }
  EXPECT_EQ(rate.cached_bytes_per_s, 80e9) << "is no memory's";
  EXPECT_EQ(rate.matmul_flops_per_s, 1e13);
}

// Where computing binds, memory may be slower without harm until it binds.
TEST(TypeRate, FollowsMemoryOnceThatBinds) {
  TypeRate rate{DType::kF16, 1e13, 20e9};
  rate.cached_bytes_per_s = 20e9;
  rate.FollowReading(50e9, 25e9);
  EXPECT_NEAR(rate.read_bytes_per_s, 20e9, 1);
  rate.FollowReading(25e9, 10e9);
  EXPECT_NEAR(rate.read_bytes_per_s, 10e9, 1);
}

TEST(TypeRate, FollowsMemoryAndBack) {
  TypeRate rate = AtFifty();
  rate.FollowReading(50e9, 33e9);
  rate.FollowReading(33e9, 50e9);
  EXPECT_NEAR(rate.read_bytes_per_s, 40e9, 1);
  for (size_t i = 0; i < rate.batches.size(); ++i)
    EXPECT_NEAR(rate.batches[i].flops_per_s / AtFifty().batches[i].flops_per_s, 1, 1e-9);
}

// What nothing is known of follows as it is.
TEST(TypeRate, FollowsMemoryInProportion) {
  TypeRate rate{DType::kF16, 1e13, 40e9};
  rate.FollowReading(50e9, 100e9);
  EXPECT_NEAR(rate.read_bytes_per_s, 80e9, 1);
}

// A gigabyte of four layers, and a head as large as one of them.
ModelCost OneGigabyte() {
  ModelCost model;
  model.layer_weight_bytes.assign(4, 200'000'000);
  model.layer_flops_per_token = 4e8;
  model.embedding_bytes = model.head_bytes = 200'000'000;
  model.head_flops_per_token = 4e8;
  model.kv_elements = 64;
  model.q_width = model.hidden_width = 64;
  return model;
}

TEST(ModelCost, CachesHoldSmallModels) {
  const ModelCost model = OneGigabyte();
  EXPECT_EQ(model.CachedShare(0), 0) << "not known";
  EXPECT_EQ(model.CachedShare(700'000'000), 0);
  EXPECT_NEAR(model.CachedShare(1'000'000'000), 0.4, 1e-9);
  EXPECT_NEAR(model.CachedShare(2'000'000'000), 0.9, 1e-9);
  EXPECT_EQ(model.CachedShare(4'000'000'000), 1);
}

// What caches hold is read as fast as they give it, whichever layers the device has; and what other
// models have taught does not count.
TEST(ModelCost, CachedModelsAreQuick) {
  const ModelCost model = OneGigabyte();
  DeviceProfile device;
  device.rates = {AtFifty()};
  device.rates[0].batches.clear();
  device.attention_flops_per_s = device.kv_read_bytes_per_s = 1e15;
  device.corrections = {{DType::kF16, 1.5, 1.5, 1.5}};
  const auto step = [&](LayerRange layers) {
    return CostOf(device, model, layers, {.prompt_tokens = 16}).decode_step_s;
  };
  EXPECT_NEAR(step({0, 4}), 1.5 * 1.0 / 40, 1e-4);
  device.cache_bytes = 4'000'000'000;
  EXPECT_NEAR(step({0, 4}), 1.0 / 80, 1e-4);
  EXPECT_NEAR(step({1, 3}), 0.4 / 80, 1e-4);
  device.cache_bytes = 1'000'000'000;
  EXPECT_NEAR(step({0, 4}), 0.4 / 80 + 0.6 / 40, 1e-4);
  device.rates[0].cached_bytes_per_s = 0;
  EXPECT_NEAR(step({0, 4}), 1.0 / 40, 1e-4) << "not known how fast";
}

TEST(DeviceProfile, FollowsItsMemory) {
  DeviceProfile device;
  device.rates = {AtFifty()};
  device.kv_read_bytes_per_s = 30e9;
  device.contexts = {{512, 1e12, 10e9}, {2048, 1e12, 30e9}};
  EXPECT_EQ(device.AtReading(25e9).rates, device.rates) << "nothing is known of its memory";
  device.reading_bytes_per_s = 50e9;
  const DeviceProfile slow = device.AtReading(25e9);
  EXPECT_EQ(slow.reading_bytes_per_s, 25e9);
  EXPECT_NEAR(slow.rates[0].read_bytes_per_s, 20e9, 1);
  EXPECT_EQ(slow.kv_read_bytes_per_s, 25e9);
  EXPECT_EQ(slow.contexts[0].read_bytes_per_s, 10e9) << "waits, and needs less";
  EXPECT_EQ(slow.contexts[1].read_bytes_per_s, 25e9);
  EXPECT_EQ(device.AtReading(0).rates, device.rates) << "no memory is like that";
  // More of it never takes longer.
  double before = 0;
  for (const double reading : {10e9, 30e9, 50e9, 70e9, 90e9}) {
    const double rate = device.AtReading(reading).rates[0].read_bytes_per_s;
    EXPECT_GE(rate, before);
    before = rate;
  }
}

TEST(DeviceProfile, ATypeHasItsOwnRateBeforeThatOfAnotherOfItsSize) {
  DeviceProfile device;
  device.rates = {{DType::kQ8_0, 1, 1}, {DType::kQ4_0, 2, 2}, {DType::kQ4_K, 3, 3}};
  EXPECT_EQ(device.RateFor(DType::kQ4_K).matmul_flops_per_s, 3);
  EXPECT_EQ(device.RateFor(DType::kQ4_0).matmul_flops_per_s, 2);
  EXPECT_EQ(device.RateFor(DType::kIQ4_NL).matmul_flops_per_s, 2);  // not measured: of its size
  EXPECT_EQ(device.RateFor(DType::kF16).matmul_flops_per_s, 1);
}

TEST(DeviceProfile, AttentionFollowsTheContext) {
  DeviceProfile device;
  device.attention_flops_per_s = 7;
  device.kv_read_bytes_per_s = 70;
  EXPECT_EQ(device.AttentionOver(3000).flops_per_s, 7);
  device.contexts = {{512, 4, 40}, {2048, 7, 70}, {8192, 10, 100}};
  EXPECT_EQ(device.AttentionOver(10).flops_per_s, 4);
  EXPECT_EQ(device.AttentionOver(2048).read_bytes_per_s, 70);
  EXPECT_NEAR(device.AttentionOver(1280).flops_per_s, 5.5, 1e-12);
  EXPECT_NEAR(device.AttentionOver(5120).read_bytes_per_s, 85, 1e-12);
  EXPECT_EQ(device.AttentionOver(1e6).flops_per_s, 10);
  EXPECT_EQ(device.AttentionOver(1280).query_flops_per_s, 0) << "not measured";
  device.contexts[0].query_flops_per_s = 2;
  device.contexts[1].query_flops_per_s = 4;
  EXPECT_NEAR(device.AttentionOver(1280).query_flops_per_s, 3, 1e-12);
  EXPECT_EQ(device.AttentionOver(5120).query_flops_per_s, 0) << "measured at one end alone";
}

ModelCost FourLayers() {
  ModelCost model;
  model.layer_weight_bytes.assign(4, 1'000'000'000);
  model.layer_flops_per_token = 1e9;
  model.kv_elements = 1024;
  model.q_width = 1024;
  model.hidden_width = 1024;
  return model;
}

DeviceProfile Device() {
  DeviceProfile device;
  device.memory_bytes = 100'000'000'000;
  device.rates = {Rate({Measured(8, 1.6)})};
  device.attention_flops_per_s = device.kv_read_bytes_per_s = 1e30;
  device.watts = 50;
  return device;
}

TEST(CostModel, StepsOfSomeTokensTakeLonger) {
  const ModelCost model = FourLayers();
  Workload workload;
  workload.concurrency = 8;
  const StageCost measured = CostOf(Device(), model, {0, 4}, workload);
  DeviceProfile ends = Device();
  ends.rates[0].batches.clear();
  const StageCost roofline = CostOf(ends, model, {0, 4}, workload);
  EXPECT_NEAR(measured.decode_step_s, 1.6 * roofline.decode_step_s, 1e-9);
  EXPECT_NEAR(measured.decode_one_s, roofline.decode_one_s, 1e-12);
  EXPECT_NEAR(measured.prefill_whole_s, roofline.prefill_whole_s, 1e-12) << "chunks of 512";
}

// Sixteen experts, two of them for each token: of 64 tokens each gets eight. Where products of
// eight tokens were measured, they take what those do; where not, experts are read before all.
TEST(CostModel, ExpertsTakeWhatProductsOfTheirFewTokensTake) {
  constexpr double kShared = 1e8, kExpert = 1e8, kFlops = 3e8;  // active: 3e8 bytes, two for each
  ModelCost model = FourLayers();
  model.experts = 16;
  model.experts_used = 2;
  model.layer_flops_per_token = kFlops;
  model.layer_weight_bytes.assign(4, static_cast<uint64_t>(kShared + 16 * kExpert));
  model.layer_active_bytes.assign(4, static_cast<uint64_t>(kShared + 2 * kExpert));
  EXPECT_NEAR(model.ExpertShare(0), 2.0 / 3, 1e-12);
  EXPECT_NEAR(model.TokensPerExpert(1), 1, 1e-12);
  const double drawn = 16 * (1 - std::pow(7.0 / 8, 64));
  const double each = 64 * 2 / drawn;
  EXPECT_NEAR(model.TokensPerExpert(64), each, 1e-9);
  const Workload workload{.prompt_tokens = 64, .chunk_tokens = 64};
  DeviceProfile device = Device();
  const TypeRate rate = device.rates[0];
  const auto seconds = [&](double bytes, double flops) {
    return std::max(bytes / rate.read_bytes_per_s, flops / rate.matmul_flops_per_s);
  };
  EXPECT_GT(rate.Excess(each), 1.1);
  EXPECT_NEAR(CostOf(device, model, {0, 2}, workload).prefill_whole_s,
              2 * (seconds(kShared, 64 * kFlops / 3) * rate.Excess(64) +
                   seconds(drawn * kExpert, 64 * kFlops * 2 / 3) * rate.Excess(each)),
              1e-9);
  device.rates[0].batches.clear();
  EXPECT_NEAR(CostOf(device, model, {0, 2}, workload).prefill_whole_s,
              2 * (seconds(kShared, 64 * kFlops) + drawn * kExpert / rate.read_bytes_per_s), 1e-9);
}

// One token's attention reads K and V, and then takes as long as its queries are wide.
TEST(CostModel, WideQueriesTakeLonger) {
  ModelCost model = FourLayers();
  Workload workload;
  workload.prompt_tokens = 1000;
  workload.answer_tokens = 1;
  DeviceProfile device = Device();
  const double before = CostOf(device, model, {0, 4}, workload).decode_one_s;
  device.contexts = {{1000, 1e30, 1e30, 1e9}};
  const double with_queries = CostOf(device, model, {0, 4}, workload).decode_one_s;
  const double each = 4.0 * 1024 / 1e9;  // seconds a key
  EXPECT_NEAR((with_queries - before) / (4 * each), 1000, 2);
  model.q_width *= 2;
  EXPECT_NEAR(CostOf(device, model, {0, 4}, workload).decode_one_s - before,
              2 * (with_queries - before), 1e-9);
}

// Of tokens whose logits nobody wants it makes K and V, and attends to nothing.
TEST(CostModel, ThePromptsLastLayerEndsEarly) {
  ModelCost model = FourLayers();
  model.q_width = 1000;
  DeviceProfile device = Device();
  device.rates[0].batches.clear();
  device.attention_flops_per_s = 1e9;
  const Workload workload{.prompt_tokens = 1024};
  const StageCost three = CostOf(device, model, {0, 3}, workload);
  const StageCost whole = CostOf(device, model, {0, 4}, workload);
  model.last_layer_flops_per_token = model.layer_flops_per_token / 4;
  const StageCost early = CostOf(device, model, {0, 4}, workload);
  const double matrices_s = 1024 * model.layer_flops_per_token / 1e13;
  const double attention_s = 1024 * 512 * 4 * 1000.0 / 1e9;
  EXPECT_NEAR(whole.prefill_whole_s - early.prefill_whole_s, 0.75 * matrices_s + attention_s, 1e-9);
  EXPECT_EQ(early.decode_step_s, whole.decode_step_s);
  EXPECT_EQ(CostOf(device, model, {0, 3}, workload).prefill_whole_s, three.prefill_whole_s);
}

// A node that computes with all its cores sends KV with them, too: what it keeps costs nothing, and
// of two stages the one that sends more counts.
TEST(CostModel, SendingKvTakesOfThePrompt) {
  const ModelCost model = FourLayers();
  const NodeId a(std::array<uint8_t, NodeId::kBytes>{1}), b(std::array<uint8_t, NodeId::kBytes>{2});
  ClusterProfile cluster;
  cluster.nodes = {{a, "a", Device()}, {b, "b", Device()}};
  cluster.links = {{a, b, 100, 1e9}, {b, a, 100, 1e9}};
  cluster.nodes[0].device.send_ns = 2;
  const Workload workload{.prompt_tokens = 1000};
  const CostTable costs(cluster, model, workload);
  const double layer_s = 1000 * 1024 * 2 * 2e-9;  // F16
  const auto more = [&](const Group& prefill, const Group& decode) {
    return PrefillSecondsBeside(costs, prefill, decode, 1000) - PrefillSeconds(costs, prefill);
  };
  EXPECT_NEAR(more({{0, {0, 4}}}, {{1, {0, 4}}}), 4 * layer_s, 1e-12);
  EXPECT_NEAR(more({{0, {0, 4}}}, {{0, {0, 3}}, {1, {3, 4}}}), layer_s, 1e-12);
  EXPECT_EQ(more({{1, {0, 4}}}, {{0, {0, 4}}}), 0);
  EXPECT_NEAR(more({{1, {0, 2}}, {0, {2, 4}}}, {{1, {0, 4}}}), 2 * layer_s, 1e-12);
  const Judge judge(costs, a);
  const Arrangement apart{{{0, {0, 4}}}, {{1, {0, 4}}}}, alone{{}, {{0, {0, 4}}}};
  EXPECT_NEAR(judge.TotalsOf(apart)->prefill_s - judge.TotalsOf(alone)->prefill_s, 4 * layer_s,
              1e-12);
}

TEST(Workload, StagesCutAPromptFiner) {
  Workload workload;
  EXPECT_EQ(workload.ChunkOf(1024, 1), 512);
  EXPECT_EQ(workload.ChunkOf(128, 2), 64);
  EXPECT_EQ(workload.ChunkOf(1024, 2), 64);
  EXPECT_EQ(workload.ChunkOf(4096, 3), 256);
  EXPECT_EQ(workload.ChunkOf(100'000, 2), 512);
  workload.chunk_tokens = 32;
  EXPECT_EQ(workload.ChunkOf(1024, 2), 32);
  workload.chunk_tokens = 4096;
  workload.fine_pipelines = false;
  EXPECT_EQ(workload.ChunkOf(1024, 2), 4096);
}

TEST(Planner, EnergyIsPowerTimesWork) {
  const NodeId id(std::array<uint8_t, NodeId::kBytes>{1});
  ClusterProfile cluster;
  cluster.nodes = {{id, "n1", Device()}};
  Workload workload;
  workload.concurrency = 8;
  workload.answer_tokens = 101;
  const auto result = Make(cluster, FourLayers(), workload, id);
  ASSERT_TRUE(result.ok());
  const StagePlan& stage = result->chosen.decode.at(0);
  EXPECT_NEAR(stage.energy_j, 50 * (stage.prefill_s + 100 * stage.decode_s / 8), 1e-6);
  cluster.nodes[0].device.watts = 0;
  EXPECT_EQ(Make(cluster, FourLayers(), workload, id)->chosen.decode.at(0).energy_j, 0);
}

// Passes over activations are paid for per token and layer; in prompts by the last layer as far as
// they take it.
TEST(CostModel, ElementsComeOnTop) {
  ModelCost model = FourLayers();
  DeviceProfile device;
  device.rates = {Rate()};
  device.attention_flops_per_s = device.kv_read_bytes_per_s = 1e30;
  const Workload workload{
      .prompt_tokens = 1000, .answer_tokens = 1, .concurrency = 3, .chunk_tokens = 300};
  const StageCost before = CostOf(device, model, {0, 3}, workload);
  device.element_ns = 2;
  EXPECT_EQ(CostOf(device, model, {0, 3}, workload).prefill_whole_s, before.prefill_whole_s)
      << "a model whose elements nobody counted";
  model.layer_elements_per_token = 10'000;
  const StageCost after = CostOf(device, model, {0, 3}, workload);
  EXPECT_NEAR(after.prefill_whole_s - before.prefill_whole_s, 3 * 1000 * 2e-5, 1e-9);
  EXPECT_NEAR(after.prefill_chunk_s - before.prefill_chunk_s, 3 * 1000 * 2e-5 / 4, 1e-9);
  EXPECT_NEAR(after.decode_step_s - before.decode_step_s, 3 * 3 * 2e-5, 1e-9);
  EXPECT_NEAR(after.decode_one_s - before.decode_one_s, 3 * 2e-5, 1e-9);
  EXPECT_EQ(after.memory_bytes, before.memory_bytes);
  model.last_layer_flops_per_token = model.layer_flops_per_token / 4;
  const double whole_s = CostOf(device, model, {0, 4}, workload).prefill_whole_s;
  device.element_ns = 0;
  const double without_s = CostOf(device, model, {0, 4}, workload).prefill_whole_s;
  EXPECT_NEAR(whole_s - without_s, 3.25 * 1000 * 2e-5, 1e-9);
}

}  // namespace
}  // namespace baton::plan
