// Presence: how steadily other nodes are there. Pure.
//
// A node that was lost once is believed as soon as it is back; one that comes and goes must stay
// twice as long with each loss, up to what makes its losses forgotten.
#pragma once

#include <map>

#include "base/ids.h"
#include "os/clock.h"

namespace baton::cluster {

class Presence {
 public:
  static constexpr std::chrono::seconds kFirstStay{4};  // after the second loss
  static constexpr std::chrono::seconds kForgotten{600};

  void OnUp(const NodeId& node, os::TimePoint now) { stays_[node].since = now; }
  void OnDown(const NodeId& node, os::TimePoint now);
  // Of a node that is there.
  bool IsSteady(const NodeId& node, os::TimePoint now) const;

 private:
  struct Stay {
    int losses = 0;  // lately
    os::TimePoint since;
  };
  std::map<NodeId, Stay> stays_;
};

}  // namespace baton::cluster
