// Rough bounds against those that look at layers.
#include "plan/rough_bounds.h"

#include <gmock/gmock.h>

#include "plan/oracle.h"
#include "plan/orders.h"

namespace baton::plan {
namespace {

using namespace baton::plan::drawn;  // NOLINT

void ExpectNoMore(const OrderBounds& rough, const OrderBounds& bounds, bool throughput) {
  EXPECT_LE(rough.prefill_s, bounds.prefill_s);
  EXPECT_LE(rough.decode_s, bounds.decode_s);
  EXPECT_LE(rough.both_s, bounds.both_s);
  if (!throughput) return;
  EXPECT_LE(rough.prefill_busy_s, bounds.prefill_busy_s);
  EXPECT_LE(rough.decode_busy_s, bounds.decode_busy_s);
  EXPECT_LE(rough.both_busy_s, bounds.both_busy_s);
}

TEST(RoughBounds, AreNoMoreThanThoseOfAnyOrder) {
  Rng rng(61);
  int compared = 0;
  double close = 0;
  for (int round = 0; round < 90; ++round) {
    const Objective objective = kObjectives[round % 3];
    Case drawn = Draw(rng, Between(rng, 1, 5), Between(rng, 1, 40), objective);
    const CostTable costs(drawn.cluster, drawn.model, drawn.workload);
    const Judge judge(costs, drawn.cluster.nodes[0].id);
    BoundsBook bounds(judge);
    RoughBounds rough(judge);
    std::vector<size_t> all;
    for (size_t node = 0; node < drawn.cluster.nodes.size(); ++node) all.push_back(node);
    OrderBook book(bounds);
    book.AddAll(all, all.size(), [](const std::vector<size_t>&) { return true; });
    const OrderBounds any = rough.OfAny(all);
    for (const Order& order : book.orders()) {
      SCOPED_TRACE(fmt::format("round {}, order {}", round, fmt::join(order.nodes, " ")));
      const OrderBounds of_order = rough.Of(order.nodes);
      const bool throughput = objective == Objective::kThroughput;
      ExpectNoMore(of_order, order.at_least, throughput);
      ExpectNoMore(any, order.at_least, throughput);
      if (!(order.at_least.both_s < std::numeric_limits<double>::infinity())) continue;
      ++compared;
      close += of_order.both_s / order.at_least.both_s;
    }
  }
  // And tell something.
  ASSERT_GT(compared, 100);
  EXPECT_GT(close / compared, 0.5);
}

}  // namespace
}  // namespace baton::plan
