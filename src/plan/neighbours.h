// Neighbours: orders of nodes that differ from one in one step. Pure.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace baton::plan {

using NodeOrder = std::vector<size_t>;

bool Contains(const NodeOrder& order, size_t node);

// One node of `order` left out, moved, exchanged for one of `nodes`, or one of these put in
// between. None is empty.
std::vector<NodeOrder> Neighbours(const NodeOrder& order, const std::vector<size_t>& nodes);

// One node of one of the two given to the other, at any place.
std::vector<std::pair<NodeOrder, NodeOrder>> Exchanges(const NodeOrder& a, const NodeOrder& b);

}  // namespace baton::plan
