// Who goes where: routing of rows to experts. What experts compute is in stage_test.cc, against
// transformers.
#include "engine/experts.h"

#include <cmath>

#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "kernels/select.h"

namespace baton::engine {
namespace {

using testing::ElementsAre;

// Routing of rows of logits.
class RoutingTest : public testing::Test {
 protected:
  void Choose(const ExpertSpec& spec, const std::vector<std::vector<float>>& logits,
              std::span<const float> bias = {}) {
    memory_ = device_->Allocate(4096).value();
    const device::Rows rows{memory_.get(), 0, logits.size(), logits.front().size()};
    for (size_t r = 0; r < logits.size(); ++r)
      std::copy(logits[r].begin(), logits[r].end(), rows.Slice(r, 1).host());
    routing_.Choose(spec, rows, bias);
  }
  std::vector<int> Experts() const {
    std::vector<int> experts;
    for (const Routing::Group& group : routing_.groups()) experts.push_back(group.expert);
    return experts;
  }

  std::unique_ptr<device::Device> device_ =
      device::MakeCpuDevice(*kernels::SelectKernels("reference").value(), {.threads = 1});
  std::unique_ptr<device::Buffer> memory_;
  Routing routing_;
};

TEST_F(RoutingTest, RowsAreGatheredByExpert) {
  Choose({.count = 4, .used = 2}, {{0, 3, 1, 2}, {5, 0, 0, 6}, {1, 2, 9, 0}});
  // Row 0 goes to 1 and 3, row 1 to 0 and 3, row 2 to 1 and 2.
  EXPECT_THAT(routing_.gather(), ElementsAre(1, 0, 2, 2, 0, 1));
  EXPECT_THAT(routing_.places(), ElementsAre(1, 4, 0, 5, 2, 3));
  std::vector<int> experts;
  for (const Routing::Group& group : routing_.groups()) experts.push_back(group.expert);
  EXPECT_THAT(experts, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(routing_.groups()[1].first, 1U);
  EXPECT_EQ(routing_.groups()[1].count, 2U);
}

TEST_F(RoutingTest, WeightsAreTheSoftmaxOfThoseChosen) {
  Choose({.count = 3, .used = 2}, {{1, -50, 3}});
  const double first = std::exp(-2.0) / (1 + std::exp(-2.0));
  ASSERT_EQ(routing_.weights().size(), 2U);
  EXPECT_FLOAT_EQ(routing_.weights()[0], static_cast<float>(first));
  EXPECT_FLOAT_EQ(routing_.weights()[1], static_cast<float>(1 - first));
}

TEST_F(RoutingTest, OfEqualLogitsTheFirstIsTaken) {
  Choose({.count = 5, .used = 3}, {{7, 7, 7, 7, 7}});
  std::vector<int> experts;
  for (const Routing::Group& group : routing_.groups()) experts.push_back(group.expert);
  EXPECT_THAT(experts, ElementsAre(0, 1, 2));
}

TEST_F(RoutingTest, WeightsThatAreNotNormalisedAreSharesOfAllTimesTheScale) {
  Choose({.count = 3, .used = 2, .normalized = false, .scale = 4}, {{1, -1, 3}});
  const double total = std::exp(1.0) + std::exp(-1.0) + std::exp(3.0);
  EXPECT_THAT(Experts(), ElementsAre(0, 2));
  EXPECT_FLOAT_EQ(routing_.weights()[0], static_cast<float>(4 * std::exp(1.0) / total));
  EXPECT_FLOAT_EQ(routing_.weights()[1], static_cast<float>(4 * std::exp(3.0) / total));
}

TEST_F(RoutingTest, OfSoftmaxAGroupIsAsGoodAsItsBest) {
  // Groups {0, 1}, {2, 3}, {4, 5}: the last is left out though its experts are next best.
  Choose({.count = 6, .used = 2, .groups = 3, .groups_used = 1}, {{1, 5, 0, 0, 4, 4}});
  EXPECT_THAT(Experts(), ElementsAre(0, 1));
  Choose({.count = 6, .used = 3, .groups = 3, .groups_used = 2}, {{1, 5, 0, 0, 4, 4}});
  EXPECT_THAT(Experts(), ElementsAre(1, 4, 5));
}

TEST_F(RoutingTest, OfSigmoidAGroupIsAsGoodAsItsTwoBest) {
  const ExpertSpec spec{.count = 6,
                        .used = 2,
                        .score = ExpertScore::kSigmoid,
                        .scale = 2.5f,
                        .groups = 3,
                        .groups_used = 1};
  Choose(spec, {{-4, 5, 0, 0, 1, 1}});
  EXPECT_THAT(Experts(), ElementsAre(4, 5));
  EXPECT_FLOAT_EQ(routing_.weights()[0], 1.25f);
}

TEST_F(RoutingTest, ABiasChoosesButDoesNotWeigh) {
  const ExpertSpec spec{.count = 4, .used = 2, .score = ExpertScore::kSigmoid, .scale = 3};
  const std::vector<float> bias = {0, 0, 0, 1};
  Choose(spec, {{2, 1, 0, -1}}, bias);
  EXPECT_THAT(Experts(), ElementsAre(0, 3));
  const double first = 1 / (1 + std::exp(-2.0)), last = 1 / (1 + std::exp(1.0));
  EXPECT_FLOAT_EQ(routing_.weights()[0], static_cast<float>(3 * first / (first + last)));
  EXPECT_FLOAT_EQ(routing_.weights()[1], static_cast<float>(3 * last / (first + last)));
}

// A broken model is no reason to crash.
TEST_F(RoutingTest, NotANumberHasAPlaceToo) {
  const float nan = std::nanf("");
  Choose({.count = 4, .used = 2}, {{nan, nan, nan, nan}, {nan, 1, nan, 0}});
  EXPECT_EQ(routing_.gather().size(), 4U);
  Choose({.count = 4, .used = 2, .score = ExpertScore::kSigmoid, .groups = 2, .groups_used = 1},
         {{nan, nan, nan, nan}, {nan, 1, nan, 0}});
  EXPECT_EQ(routing_.gather().size(), 4U);
}

}  // namespace
}  // namespace baton::engine
