// Where the layers are cut along an order of nodes: dynamic programming over boundaries. Pure.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "plan/evaluate.h"

namespace baton::plan {

// The boundaries with the least sum of `sum(i, first)(last)` over the stages i of `nodes`, each
// with at least one layer, among those where `most(i, first)(last)` stays below `limit` everywhere.
// `last_that_fits(i, first)` says how far a stage may go. Nothing if there are none. If `kGrows`,
// `most` is larger of more layers.
template <bool kGrows, typename Sum, typename Most, typename LastThatFits>
std::optional<Group> LeastSum(int layers, const std::vector<size_t>& nodes, const Sum& sum,
                              const Most& most, double limit, const LastThatFits& last_that_fits) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto stages = static_cast<int>(nodes.size());
  if (stages > layers) return std::nullopt;
  const auto width = static_cast<size_t>(layers) + 1;
  // Of the first i nodes on the first l layers: the least sum, and where the last one begins.
  std::vector<double> best((nodes.size() + 1) * width, kInfinity);
  std::vector<int> cut((nodes.size() + 1) * width, 0);
  best[0] = 0;
  for (int i = 0; i < stages; ++i) {
    const double* before = &best[static_cast<size_t>(i) * width];
    double* after = &best[static_cast<size_t>(i + 1) * width];
    int* cuts = &cut[static_cast<size_t>(i + 1) * width];
    const int furthest = layers - (stages - i - 1);
    for (int first = i; first < furthest; ++first) {
      if (!(before[first] < kInfinity)) continue;
      const int last_of_all = std::min(last_that_fits(i, first), furthest);
      const auto sum_to = sum(i, first);
      const auto most_to = most(i, first);
      for (int last = first + 1; last <= last_of_all; ++last) {
        if (kGrows && !(most_to(last) < limit)) break;
        const double value = before[first] + sum_to(last);
        if (!(value < after[last])) continue;
        if (!kGrows && limit < kInfinity && !(most_to(last) < limit)) continue;
        after[last] = value;
        cuts[last] = first;
      }
    }
  }
  if (!(best[nodes.size() * width + static_cast<size_t>(layers)] < kInfinity)) return std::nullopt;
  Group group(nodes.size());
  for (int i = stages, last = layers; i > 0; --i) {
    const int first = cut[static_cast<size_t>(i) * width + static_cast<size_t>(last)];
    group[static_cast<size_t>(i - 1)] = {nodes[static_cast<size_t>(i - 1)], {first, last}};
    last = first;
  }
  return group;
}

// How far a stage may go on a node that also holds what `other` gives it.
int LastThatFitsBeside(const CostTable& costs, size_t node, int first, const Group& other);

// The ways to cut worth a look when `nodes` compute prompts: all, where there are few; else those
// between the least sum of stages and the least slowest stage, each as good as any at one of the
// two. No link counts here, so a slower one does not change what is looked at.
std::vector<Group> PrefillCuts(const CostTable& costs, const std::vector<size_t>& nodes);
// Likewise when they do both.
std::vector<Group> CutsForBoth(const CostTable& costs, const std::vector<size_t>& nodes);
// The quickest cuts for generating alone; nothing if they do not hold the model.
std::optional<Group> DecodeCuts(const CostTable& costs, const std::vector<size_t>& nodes);
// Likewise for computing prompts on nodes that also hold what `decode` gives them.
std::vector<Group> PrefillCutsBeside(const CostTable& costs, const std::vector<size_t>& nodes,
                                     const Group& decode);

}  // namespace baton::plan
