#include "plan/profile.h"

#include <cmath>
#include <limits>

namespace baton::plan {

TypeRate DeviceProfile::RateFor(DType type) const {
  const auto bytes_per_element = [](DType t) {
    const DTypeInfo& info = InfoOf(t);
    return static_cast<double>(info.block_bytes) / static_cast<double>(info.block_elements);
  };
  TypeRate nearest;
  double least = std::numeric_limits<double>::infinity();
  for (const TypeRate& rate : rates) {
    const double distance =
        std::abs(std::log(bytes_per_element(rate.type) / bytes_per_element(type)));
    if (distance >= least) continue;
    least = distance;
    nearest = rate;
  }
  return nearest;
}

const NodeProfile* ClusterProfile::FindNode(const NodeId& id) const {
  for (const NodeProfile& node : nodes) {
    if (node.id == id) return &node;
  }
  return nullptr;
}

const LinkProfile* ClusterProfile::FindLink(const NodeId& from, const NodeId& to) const {
  for (const LinkProfile& link : links) {
    if (link.from == from && link.to == to) return &link;
  }
  return nullptr;
}

}  // namespace baton::plan
