#include "plan/neighbours.h"

#include <set>

#include <gmock/gmock.h>

namespace baton::plan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST(Neighbours, DifferInOneStep) {
  EXPECT_THAT(Neighbours({1}, {1}), IsEmpty());
  EXPECT_THAT(Neighbours({1}, {1, 2}),
              UnorderedElementsAre(ElementsAre(2), ElementsAre(1, 2), ElementsAre(2, 1)));
  const std::vector<NodeOrder> of_three = Neighbours({1, 2, 3}, {});
  const std::set<NodeOrder> distinct(of_three.begin(), of_three.end());
  EXPECT_THAT(distinct, UnorderedElementsAre(ElementsAre(2, 3), ElementsAre(1, 3),
                                             ElementsAre(1, 2),  // left out
                                             ElementsAre(2, 1, 3), ElementsAre(1, 3, 2),  // moved
                                             ElementsAre(2, 3, 1), ElementsAre(3, 1, 2),
                                             ElementsAre(3, 2, 1)));  // exchanged
}

TEST(Neighbours, GiveNodesFromOneToTheOther) {
  EXPECT_THAT(Exchanges({1, 2}, {3}),
              UnorderedElementsAre(Pair(ElementsAre(2), ElementsAre(1, 3)),
                                   Pair(ElementsAre(2), ElementsAre(3, 1)),
                                   Pair(ElementsAre(1), ElementsAre(2, 3)),
                                   Pair(ElementsAre(1), ElementsAre(3, 2))));
  // Neither loses its last node, and none comes twice.
  EXPECT_THAT(Exchanges({1}, {2}), IsEmpty());
  EXPECT_THAT(Exchanges({1, 2}, {2, 1}), IsEmpty());
}

}  // namespace
}  // namespace baton::plan
