#include "cluster/presence.h"

#include <gmock/gmock.h>

namespace baton::cluster {
namespace {

using std::chrono::seconds;

const NodeId kNode(std::array<uint8_t, NodeId::kBytes>{1});

class PresenceTest : public testing::Test {
 protected:
  // Lost after so many seconds, and back at once.
  void Flap(int stays_s) {
    now_ += seconds(stays_s);
    presence_.OnDown(kNode, now_);
    presence_.OnUp(kNode, now_);
  }
  bool IsSteadyAfter(int s) const { return presence_.IsSteady(kNode, now_ + seconds(s)); }

  os::TimePoint now_ = os::TimePoint() + seconds(100'000);
  Presence presence_;
};

TEST_F(PresenceTest, WhoWasLostOnceIsBelieved) {
  EXPECT_TRUE(IsSteadyAfter(0)) << "never seen";
  presence_.OnUp(kNode, now_);
  EXPECT_TRUE(IsSteadyAfter(0));
  Flap(30);
  EXPECT_TRUE(IsSteadyAfter(0));
}

TEST_F(PresenceTest, WhoComesAndGoesMustStayLonger) {
  presence_.OnUp(kNode, now_);
  Flap(30);
  for (int stay = 4; stay < 600; stay *= 2) {
    Flap(30);
    EXPECT_FALSE(IsSteadyAfter(stay - 1)) << stay;
    EXPECT_TRUE(IsSteadyAfter(stay)) << stay;
  }
  for (int more = 0; more < 40; ++more) Flap(1);
  EXPECT_FALSE(IsSteadyAfter(599));
  EXPECT_TRUE(IsSteadyAfter(600));
}

TEST_F(PresenceTest, LossesAreForgotten) {
  presence_.OnUp(kNode, now_);
  for (int i = 0; i < 5; ++i) Flap(1);
  EXPECT_FALSE(IsSteadyAfter(10));
  Flap(601);
  EXPECT_TRUE(IsSteadyAfter(0));
}

}  // namespace
}  // namespace baton::cluster
