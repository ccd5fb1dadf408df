#include "engine/sampler.h"

#include <cmath>
#include <limits>
#include <map>

#include <gmock/gmock.h>

namespace baton::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TokenId Choose(std::vector<float> logits, const SamplingParams& params,
               std::vector<TokenId> history = {}, uint64_t position = 0) {
  return Sample(logits, params, history, position).value().token;
}

std::map<TokenId, int> Histogram(const std::vector<float>& logits, SamplingParams params,
                                 int draws = 20000) {
  std::map<TokenId, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[Choose(logits, params, {}, i)];
  return counts;
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(Choose({1, 3, 2, 3}, {}), 1);
}

TEST(Sampler, FollowsTheDistribution) {
  const std::vector<float> logits = {0, std::log(2.0f), std::log(5.0f)};
  const auto counts = Histogram(logits, {.temperature = 1, .seed = 4});
  EXPECT_NEAR(counts.at(0) / 20000.0, 1 / 8.0, 0.01);
  EXPECT_NEAR(counts.at(1) / 20000.0, 2 / 8.0, 0.01);
  EXPECT_NEAR(counts.at(2) / 20000.0, 5 / 8.0, 0.01);
}

TEST(Sampler, IsAFunctionOfSeedAndPosition) {
  const std::vector<float> logits(100, 0.0f);
  const SamplingParams a{.temperature = 1, .seed = 1}, b{.temperature = 1, .seed = 2};
  int same = 0;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Choose(logits, a, {}, i), Choose(logits, a, {}, i));
    same += Choose(logits, a, {}, i) == Choose(logits, b, {}, i);
  }
  EXPECT_LT(same, 10);
}

TEST(Sampler, Truncations) {
  const std::vector<float> logits = {4, 3, 2, 1};
  EXPECT_EQ(Histogram(logits, {.temperature = 2, .top_k = 2}).size(), 2u);
  EXPECT_EQ(Histogram(logits, {.temperature = 1, .top_p = 0.64f}).size(), 1u);
  EXPECT_EQ(Histogram(logits, {.temperature = 1, .top_p = 0.65f}).size(), 2u);
  EXPECT_EQ(Histogram(logits, {.temperature = 1, .min_p = 0.13f}).size(), 3u);
}

TEST(Sampler, PenaltiesAndBias) {
  EXPECT_EQ(Choose({2, 1.5}, {.repeat_penalty = 2}, {0}), 1);
  EXPECT_EQ(Choose({-1, -1.5}, {.repeat_penalty = 2}, {0}), 1);
  EXPECT_EQ(Choose({2, 1.5}, {.presence_penalty = 0.6f}, {0}), 1);
  EXPECT_EQ(Choose({2, 1.5}, {.frequency_penalty = 0.2f}, {0, 0}), 0);
  EXPECT_EQ(Choose({2, 1.5}, {.frequency_penalty = 0.2f}, {0, 0, 0}), 1);
  EXPECT_EQ(Choose({2, 1.5}, {.presence_penalty = 1, .penalty_tokens = 1}, {0, 1}), 0);
  EXPECT_EQ(Choose({2, 1.5}, {.logit_bias = {{1, 1.0f}, {99, 5.0f}}}), 1);
}

TEST(Sampler, ReportsTheModelsLogprobs) {
  const std::vector<float> logits = {0, std::log(3.0f)};
  const SamplingParams params{.logit_bias = {{0, 10.0f}}, .logprob = true, .top_logprobs = 5};
  const Sampled sampled = Sample(logits, params, {}, 0).value();
  EXPECT_EQ(sampled.token, 0);
  EXPECT_NEAR(sampled.logprob, std::log(0.25), 1e-6);
  ASSERT_EQ(sampled.top.size(), 2u);
  EXPECT_EQ(sampled.top[0].token, 1);
  EXPECT_NEAR(sampled.top[0].logprob, std::log(0.75), 1e-6);
}

TEST(Sampler, BrokenLogitsAreAnError) {
  EXPECT_FALSE(Sample(std::vector<float>{1, NAN}, {}, {}, 0).ok());
  EXPECT_FALSE(Sample(std::vector<float>{1, kInf}, {}, {}, 0).ok());
  EXPECT_FALSE(Sample(std::vector<float>{-kInf, -kInf}, {}, {}, 0).ok());
  EXPECT_EQ(Choose({-kInf, 1}, {}), 1);
}

TEST(Sampler, ValidateNamesWhatIsWrong) {
  EXPECT_TRUE(Validate({}).ok());
  EXPECT_THAT(Validate({.top_p = 1.5f}).error().message(), testing::HasSubstr("top_p is 1.5"));
  EXPECT_FALSE(Validate({.temperature = NAN}).ok());
  EXPECT_FALSE(Validate({.top_logprobs = 21}).ok());
  EXPECT_FALSE(Validate({.logit_bias = {{1, kInf}}}).ok());
}

TEST(Sampler, LogitsAreNumbers) {
  EXPECT_TRUE(CheckLogits(std::vector<float>{0, -kInf}).ok());
  EXPECT_FALSE(CheckLogits(std::vector<float>{0, kInf}).ok());
  EXPECT_FALSE(CheckLogits(std::vector<float>{0, NAN}).ok());
  EXPECT_FALSE(CheckLogits(std::vector<float>{-kInf, -kInf}).ok());
}

}  // namespace
}  // namespace baton::engine
