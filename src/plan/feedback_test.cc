#include "plan/feedback.h"

#include <gtest/gtest.h>

#include "plan/planner.h"

namespace baton::plan {
namespace {

DeviceProfile Device(double gflops, double gb_per_s) {
  DeviceProfile device;
  device.name = "device";
  device.memory_bytes = uint64_t{64} << 30;
  device.rates = {{DType::kF16, gflops * 1e9, gb_per_s * 1e9, {}}};
  device.attention_flops_per_s = gflops * 1e9;
  device.kv_read_bytes_per_s = gb_per_s * 1e9;
  device.layer_overhead_us = 5;
  return device;
}

ModelCost Model() {
  ModelCost model;
  model.name = "model";
  model.layer_weight_bytes.assign(8, 100'000'000);
  model.layer_flops_per_token = 1e8;
  model.head_bytes = 50'000'000;
  model.head_flops_per_token = 5e7;
  model.kv_elements = 1024;
  model.q_width = 2048;
  model.hidden_width = 2048;
  return model;
}

class FeedbackTest : public testing::Test {
 protected:
  // `count` steps that take so many times what is predicted.
  void Run(double times, size_t count, int tokens) {
    RanStep step{.layers = {0, 8}, .first_token = 512, .tokens = tokens, .logits = tokens == 1};
    const double predicted_s =
        tokens == 1 ? costs_.OfTokens(step.layers, {&step.first_token, 1}, true).back()
                    : costs_.OfChunk(step.layers, step.first_token, tokens, false).back();
    step.seconds = times * predicted_s;
    for (size_t i = 0; i < count; ++i) feedback_.Add(costs_, DType::kF16, step);
  }

  const StepCosts costs_{Device(1000, 50), Model(), KvType::kF16};
  Feedback feedback_;
};

// What is known of memory by now is in the costs to come: it would count twice.
TEST_F(FeedbackTest, ForgetsAnswersAlone) {
  Run(1.3, Feedback::kEnough, 1);
  Run(1.2, Feedback::kEnough, 512);
  ASSERT_TRUE(feedback_.Refresh());
  feedback_.ForgetAnswers();
  EXPECT_FALSE(feedback_.Refresh()) << "told already";
  ASSERT_EQ(feedback_.told().size(), 1U);
  EXPECT_EQ(feedback_.told()[0].decode, 1);
  EXPECT_NEAR(feedback_.told()[0].prefill, 1.2, 1e-9);
  Run(1.4, Feedback::kEnough - 1, 1);
  EXPECT_FALSE(feedback_.Refresh()) << "not enough yet of those that ran since";
  Run(1.4, 1, 1);
  EXPECT_TRUE(feedback_.Refresh());
  EXPECT_NEAR(feedback_.told()[0].decode, 1.4, 1e-9);
}

TEST_F(FeedbackTest, ModelsInCachesSayNothing) {
  DeviceProfile device = Device(1000, 50);
  device.cache_bytes = uint64_t{1} << 30;
  const StepCosts cached{device, Model(), KvType::kF16};
  for (const int tokens : {1, 64, 512}) {
    for (int i = 0; i < 100; ++i)
      feedback_.Add(cached, DType::kF16, {.layers = {0, 8}, .tokens = tokens, .seconds = 1});
  }
  EXPECT_FALSE(feedback_.Refresh());
  EXPECT_TRUE(feedback_.told().empty());
}

TEST_F(FeedbackTest, NothingIsLeftWhereAnswersWereAll) {
  Run(1.3, Feedback::kEnough, 1);
  ASSERT_TRUE(feedback_.Refresh());
  feedback_.ForgetAnswers();
  EXPECT_TRUE(feedback_.told().empty());
  EXPECT_FALSE(feedback_.Refresh());
}

TEST_F(FeedbackTest, SaysNothingUntilThereIsEnough) {
  Run(1.3, Feedback::kEnough - 1, 1);
  EXPECT_FALSE(feedback_.Refresh());
  Run(1.3, 1, 1);
  EXPECT_TRUE(feedback_.Refresh());
  ASSERT_EQ(feedback_.told().size(), 1U);
  EXPECT_EQ(feedback_.told()[0].type, DType::kF16);
  EXPECT_NEAR(feedback_.told()[0].decode, 1.3, 1e-9);
  EXPECT_EQ(feedback_.told()[0].prefill, 1);
  EXPECT_FALSE(feedback_.Refresh()) << "told";
}

TEST_F(FeedbackTest, PhasesAreApart) {
  Run(0.8, Feedback::kChunks, 256);
  Run(1.5, Feedback::kTokens, 1);
  EXPECT_TRUE(feedback_.Refresh());
  EXPECT_NEAR(feedback_.told()[0].prefill, 0.8, 1e-9);
  EXPECT_NEAR(feedback_.told()[0].decode, 1.5, 1e-9);
}

TEST_F(FeedbackTest, FineChunksSayNothingOfWholeOnes) {
  Run(1.3, Feedback::kChunks, 64);
  EXPECT_TRUE(feedback_.Refresh());
  EXPECT_EQ(feedback_.told()[0].prefill, 1);
  EXPECT_NEAR(feedback_.told()[0].fine_prefill, 1.3, 1e-9);
  Run(1.1, Feedback::kChunks, 512);
  EXPECT_TRUE(feedback_.Refresh());
  EXPECT_NEAR(feedback_.told()[0].prefill, 1.1, 1e-9);
  EXPECT_NEAR(feedback_.told()[0].fine_prefill, 1.3, 1e-9);
}

TEST_F(FeedbackTest, OutliersChangeNothing) {
  Run(1.2, Feedback::kTokens, 1);
  feedback_.Refresh();
  Run(50, Feedback::kTokens / 2 - 1, 1);
  EXPECT_FALSE(feedback_.Refresh());
  EXPECT_NEAR(feedback_.told()[0].decode, 1.2, 1e-9);
}

TEST_F(FeedbackTest, ANewStateReplacesTheOldOne) {
  Run(1.4, Feedback::kTokens, 1);
  feedback_.Refresh();
  Run(1.0, Feedback::kTokens, 1);
  EXPECT_TRUE(feedback_.Refresh());
  EXPECT_TRUE(feedback_.told().empty()) << "as predicted again";
}

TEST_F(FeedbackTest, IsBounded) {
  Run(10, Feedback::kTokens, 1);
  Run(0.01, Feedback::kChunks, 256);
  feedback_.Refresh();
  EXPECT_EQ(feedback_.told()[0].decode, Feedback::kMost);
  EXPECT_EQ(feedback_.told()[0].prefill, Feedback::kLeast);
}

// What moves to and fro by less than what is news is told once at most.
TEST_F(FeedbackTest, TremorsAreNotTold) {
  Run(1.2, Feedback::kTokens, 1);
  feedback_.Refresh();
  for (const double times : {1.23, 1.17, 1.24, 1.16}) {
    Run(times, Feedback::kTokens, 1);
    EXPECT_FALSE(feedback_.Refresh()) << times;
  }
  Run(1.27, Feedback::kTokens, 1);
  EXPECT_TRUE(feedback_.Refresh());
}

TEST(Corrections, AreFactorsOfEachPhaseOfTheirType) {
  const ModelCost model = Model();
  const Workload workload{.prompt_tokens = 1000, .answer_tokens = 100, .chunk_tokens = 256};
  DeviceProfile device = Device(1000, 50);
  const StageCost before = CostOf(device, model, {0, 8}, workload);
  device.corrections = {{DType::kQ8_0, 1.9, 1.9}, {DType::kF16, 1.25, 0.75}};
  const StageCost after = CostOf(device, model, {0, 8}, workload);
  EXPECT_NEAR(after.prefill_whole_s / before.prefill_whole_s, 1.25, 1e-9);
  EXPECT_NEAR(after.prefill_chunk_s / before.prefill_chunk_s, 1.25, 1e-9);
  EXPECT_NEAR(after.decode_step_s / before.decode_step_s, 0.75, 1e-9);
  EXPECT_EQ(after.memory_bytes, before.memory_bytes);
}

TEST(Corrections, OfFineChunksAreThoseOfPipelines) {
  DeviceProfile device = Device(1000, 50);
  const auto prompt_s = [&](int chunk_tokens) {
    return CostOf(device, Model(), {0, 8}, {.prompt_tokens = 1024, .chunk_tokens = chunk_tokens})
        .prefill_whole_s;
  };
  const double fine_s = prompt_s(128), whole_s = prompt_s(256);
  device.corrections = {{DType::kF16, 1, 1, 1.5}};
  EXPECT_NEAR(prompt_s(128) / fine_s, 1.5, 1e-9);
  EXPECT_EQ(prompt_s(256), whole_s);
}

// Two devices that are alike on paper; one was seen to be slow.
TEST(Corrections, DecideWhoComputes) {
  ClusterProfile cluster;
  for (uint8_t i = 1; i <= 2; ++i) {
    NodeProfile node;
    node.id = NodeId(std::array<uint8_t, NodeId::kBytes>{i});
    node.name = i == 1 ? "n1" : "n2";
    node.device = Device(1000, 50);
    cluster.nodes.push_back(node);
  }
  const NodeId &first = cluster.nodes[0].id, &second = cluster.nodes[1].id;
  cluster.links = {{first, second, 10, 1e9}, {second, first, 10, 1e9}};
  const Workload workload{.prompt_tokens = 512, .answer_tokens = 64};
  const auto chosen = [&] {
    return Make(cluster, Model(), workload, cluster.nodes[0].id).value().chosen;
  };
  EXPECT_EQ(chosen().decode[0].node, cluster.nodes[0].id);
  const double before_s = chosen().total_s;
  cluster.nodes[0].device.corrections = {{DType::kF16, 1.5, 1.5}};
  EXPECT_EQ(chosen().decode[0].node, cluster.nodes[1].id);
  EXPECT_GE(chosen().total_s, before_s) << "none is quicker than it was";
}

}  // namespace
}  // namespace baton::plan
