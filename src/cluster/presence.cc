#include "cluster/presence.h"

#include <algorithm>

namespace baton::cluster {

void Presence::OnDown(const NodeId& node, os::TimePoint now) {
  Stay& stay = stays_[node];
  stay.losses = now - stay.since > kForgotten ? 1 : stay.losses + 1;
}

bool Presence::IsSteady(const NodeId& node, os::TimePoint now) const {
  constexpr int kDoublingsMax = 16;
  const auto found = stays_.find(node);
  if (found == stays_.end() || found->second.losses <= 1) return true;
  const auto wanted = kFirstStay * (1 << std::min(found->second.losses - 2, kDoublingsMax));
  return now - found->second.since >= std::min(wanted, kForgotten);
}

}  // namespace baton::cluster
