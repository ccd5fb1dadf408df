#include "plan/boundaries.h"

#include <algorithm>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// So many ways to cut are all looked at.
constexpr double kCutsFew = 128;
// Steps from the least sum towards the least slowest stage, and by how much each is to be better.
constexpr int kFrontierSteps = 24;
constexpr double kFrontierStep = 0.98;

double Choose(int from, int count) {
  double ways = 1;
  for (int i = 0; i < count; ++i) ways = ways * (from - i) / (i + 1);
  return ways;
}

bool AreFew(const CostTable& costs, size_t stages) {
  return Choose(costs.model().n_layers() - 1, static_cast<int>(stages) - 1) <= kCutsFew;
}

void AddAllCuts(const CostTable& costs, const std::vector<size_t>& nodes, Group& begun,
                std::vector<Group>& cuts) {
  const int layers = costs.model().n_layers();
  const int first = begun.empty() ? 0 : begun.back().layers.last;
  const size_t node = nodes[begun.size()];
  const auto rest = static_cast<int>(nodes.size() - begun.size() - 1);
  const int furthest = std::min(costs.LastThatFits(node, first), layers - rest);
  for (int last = rest == 0 ? layers : first + 1; last <= furthest; ++last) {
    begun.push_back({node, {first, last}});
    if (rest == 0) {
      cuts.push_back(begun);
    } else {
      AddAllCuts(costs, nodes, begun, cuts);
    }
    begun.pop_back();
  }
}

// From the least sum of `sum` towards the least largest of `most`.
template <typename Sum, typename Most, typename Last>
std::vector<Group> Frontier(const CostTable& costs, const std::vector<size_t>& nodes,
                            const Sum& sum, const Most& most, const Last& last_that_fits) {
  std::vector<Group> cuts;
  double limit = kInfinity;
  for (int step = 0; step < kFrontierSteps; ++step) {
    auto group = LeastSum(costs.model().n_layers(), nodes, sum, most, limit, last_that_fits);
    if (!group) break;
    double largest = 0;
    for (size_t i = 0; i < group->size(); ++i)
      largest = std::max(largest, most(static_cast<int>(i), (*group)[i].layers));
    cuts.push_back(*std::move(group));
    limit = kFrontierStep * largest;
    if (nodes.size() == 1) break;
  }
  return cuts;
}

// As Frontier(); where nodes share processors, with the cuts of the least sum that they take in
// turns, too: there, every chunk waits for what its sharers compute of the others.
template <typename Sum, typename Chunk, typename Most, typename Last>
std::vector<Group> FrontierOfTurns(const CostTable& costs, const std::vector<size_t>& nodes,
                                   const Sum& sum, const Chunk& chunk, const Most& most,
                                   const Last& last_that_fits) {
  std::vector<Group> cuts = Frontier(costs, nodes, sum, most, last_that_fits);
  if (costs.pools().empty()) return cuts;
  const auto in_turns = [&](int i, LayerRange layers) {
    const double share = costs.pools().ShareOf(nodes[static_cast<size_t>(i)]);
    return sum(i, layers) + (costs.chunks() - 1) * share * chunk(i, layers);
  };
  for (Group& group : Frontier(costs, nodes, in_turns, most, last_that_fits))
    cuts.push_back(std::move(group));
  return cuts;
}

bool CountsThroughput(const CostTable& costs) {
  return costs.workload().objective == Objective::kThroughput;
}

}  // namespace

int LastThatFitsBeside(const CostTable& costs, size_t node, int first, const Group& other) {
  for (const GroupStage& twin : other) {
    if (twin.node != node) continue;
    const int last = costs.LastThatFits(node, std::min(first, twin.layers.first));
    return twin.layers.last <= last ? last : first;
  }
  return costs.LastThatFits(node, first);
}

std::vector<Group> PrefillCuts(const CostTable& costs, const std::vector<size_t>& nodes) {
  return PrefillCutsBeside(costs, nodes, {});
}

std::vector<Group> PrefillCutsBeside(const CostTable& costs, const std::vector<size_t>& nodes,
                                     const Group& decode) {
  std::vector<Group> cuts;
  if (nodes.size() > static_cast<size_t>(costs.model().n_layers())) return cuts;
  if (AreFew(costs, nodes.size())) {
    Group begun;
    if (decode.empty()) AddAllCuts(costs, nodes, begun, cuts);
    return cuts;
  }
  const auto chunk = [&](int i, LayerRange layers) {
    return costs.PrefillChunk(nodes[static_cast<size_t>(i)], layers);
  };
  const auto whole = [&](int i, LayerRange layers) {
    return costs.PrefillOf(nodes[static_cast<size_t>(i)], layers, nodes.size());
  };
  const auto last = [&](int i, int first) {
    return LastThatFitsBeside(costs, nodes[static_cast<size_t>(i)], first, decode);
  };
  return CountsThroughput(costs) ? FrontierOfTurns(costs, nodes, chunk, chunk, whole, last)
                                 : FrontierOfTurns(costs, nodes, chunk, chunk, chunk, last);
}

std::vector<Group> CutsForBoth(const CostTable& costs, const std::vector<size_t>& nodes) {
  std::vector<Group> cuts;
  if (nodes.size() > static_cast<size_t>(costs.model().n_layers())) return cuts;
  if (AreFew(costs, nodes.size())) {
    Group begun;
    AddAllCuts(costs, nodes, begun, cuts);
    return cuts;
  }
  const double batch = BatchOf(costs, nodes.size());
  const auto chunk = [&](int i, LayerRange layers) {
    return costs.PrefillChunk(nodes[static_cast<size_t>(i)], layers);
  };
  const auto request = [&](int i, LayerRange layers) {
    return chunk(i, layers) +
           costs.later_tokens() * costs.DecodeStep(nodes[static_cast<size_t>(i)], layers);
  };
  const auto busy = [&](int i, LayerRange layers) {
    const size_t node = nodes[static_cast<size_t>(i)];
    return costs.PrefillOf(node, layers, nodes.size()) +
           costs.workload().answer_tokens * costs.DecodeBatch(node, layers, batch) / batch;
  };
  const auto last = [&](int i, int first) {
    return costs.LastThatFits(nodes[static_cast<size_t>(i)], first);
  };
  return CountsThroughput(costs) ? FrontierOfTurns(costs, nodes, request, busy, busy, last)
                                 : FrontierOfTurns(costs, nodes, request, chunk, chunk, last);
}

std::optional<Group> DecodeCuts(const CostTable& costs, const std::vector<size_t>& nodes) {
  const auto step = [&](int i, LayerRange layers) {
    return costs.DecodeStep(nodes[static_cast<size_t>(i)], layers);
  };
  const auto last = [&](int i, int first) {
    return costs.LastThatFits(nodes[static_cast<size_t>(i)], first);
  };
  return LeastSum(costs.model().n_layers(), nodes, step, step, kInfinity, last);
}

}  // namespace baton::plan
