#include "plan/neighbours.h"

#include <algorithm>

namespace baton::plan {
namespace {

NodeOrder Without(NodeOrder order, size_t place) {
  order.erase(order.begin() + static_cast<std::ptrdiff_t>(place));
  return order;
}

NodeOrder With(NodeOrder order, size_t place, size_t node) {
  order.insert(order.begin() + static_cast<std::ptrdiff_t>(place), node);
  return order;
}

void GiveAway(const NodeOrder& from, const NodeOrder& to,
              std::vector<std::pair<NodeOrder, NodeOrder>>& pairs) {
  for (size_t i = 0; i < from.size() && from.size() > 1; ++i) {
    if (Contains(to, from[i])) continue;
    for (size_t place = 0; place <= to.size(); ++place)
      pairs.emplace_back(Without(from, i), With(to, place, from[i]));
  }
}

}  // namespace

bool Contains(const NodeOrder& order, size_t node) {
  return std::find(order.begin(), order.end(), node) != order.end();
}

std::vector<NodeOrder> Neighbours(const NodeOrder& order, const std::vector<size_t>& nodes) {
  std::vector<NodeOrder> neighbours;
  for (size_t i = 0; i < order.size() && order.size() > 1; ++i) {
    const NodeOrder rest = Without(order, i);
    neighbours.push_back(rest);
    for (size_t place = 0; place <= rest.size(); ++place) {
      if (place != i) neighbours.push_back(With(rest, place, order[i]));
    }
  }
  for (size_t i = 0; i < order.size(); ++i) {
    for (size_t j = i + 2; j < order.size(); ++j) {
      neighbours.push_back(order);
      std::swap(neighbours.back()[i], neighbours.back()[j]);
    }
  }
  for (const size_t node : nodes) {
    if (Contains(order, node)) continue;
    for (size_t i = 0; i < order.size(); ++i) {
      neighbours.push_back(order);
      neighbours.back()[i] = node;
    }
    for (size_t place = 0; place <= order.size(); ++place)
      neighbours.push_back(With(order, place, node));
  }
  return neighbours;
}

std::vector<std::pair<NodeOrder, NodeOrder>> Exchanges(const NodeOrder& a, const NodeOrder& b) {
  std::vector<std::pair<NodeOrder, NodeOrder>> pairs;
  GiveAway(a, b, pairs);
  const size_t count = pairs.size();
  GiveAway(b, a, pairs);
  for (size_t i = count; i < pairs.size(); ++i) std::swap(pairs[i].first, pairs[i].second);
  return pairs;
}

}  // namespace baton::plan
