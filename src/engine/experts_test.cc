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
  void Choose(const ExpertSpec& spec, const std::vector<std::vector<float>>& logits) {
    memory_ = device_->Allocate(4096).value();
    const device::Rows rows{memory_.get(), 0, logits.size(), logits.front().size()};
    for (size_t r = 0; r < logits.size(); ++r)
      std::copy(logits[r].begin(), logits[r].end(), rows.Slice(r, 1).host());
    routing_.Choose(spec, rows);
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

// A broken model is no reason to crash.
TEST_F(RoutingTest, NotANumberHasAPlaceToo) {
  const float nan = std::nanf("");
  Choose({.count = 4, .used = 2}, {{nan, nan, nan, nan}, {nan, 1, nan, 0}});
  EXPECT_EQ(routing_.gather().size(), 4U);
}

}  // namespace
}  // namespace baton::engine
