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
    auto group = LeastSum<true>(costs.model().n_layers(), nodes, sum, most, limit, last_that_fits);
    if (!group) break;
    double largest = 0;
    for (size_t i = 0; i < group->size(); ++i)
      largest = std::max(
          largest, most(static_cast<int>(i), (*group)[i].layers.first)((*group)[i].layers.last));
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
  const auto in_turns = [&](int i, int first) {
    const double share = costs.pools().ShareOf(nodes[static_cast<size_t>(i)]);
    const double times = (costs.chunks() - 1) * share;
    return [times, sum_to = sum(i, first), chunk_to = chunk(i, first)](int last) {
      return sum_to(last) + times * chunk_to(last);
    };
  };
  for (Group& group : Frontier(costs, nodes, in_turns, most, last_that_fits))
    cuts.push_back(std::move(group));
  return cuts;
}

// Seconds of a chunk on stage i, by the layer that it ends at.
auto ChunkFrom(const CostTable& costs, const std::vector<size_t>& nodes, int i, int first) {
  const double* const seconds = costs.RangesFrom(nodes[static_cast<size_t>(i)], first).chunk;
  return [seconds](int last) { return seconds[last]; };
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
  const auto chunk = [&](int i, int first) { return ChunkFrom(costs, nodes, i, first); };
  const auto whole = [&](int i, int first) {
    const CostTable::Ranges ranges = costs.RangesFrom(nodes[static_cast<size_t>(i)], first);
    return [seconds = ranges.Prompt(nodes.size())](int last) { return seconds[last]; };
  };
  const auto last = [&](int i, int first) {
    return LastThatFitsBeside(costs, nodes[static_cast<size_t>(i)], first, decode);
  };
  return costs.counts_throughput() ? FrontierOfTurns(costs, nodes, chunk, chunk, whole, last)
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
  const double later = costs.later_tokens();
  const double steps = costs.workload().answer_tokens / batch;
  const double part = costs.BatchPart(batch);
  const auto chunk = [&](int i, int first) { return ChunkFrom(costs, nodes, i, first); };
  const auto request = [&](int i, int first) {
    const CostTable::Ranges ranges = costs.RangesFrom(nodes[static_cast<size_t>(i)], first);
    return [ranges, later](int last) { return ranges.chunk[last] + later * ranges.step[last]; };
  };
  const auto busy = [&](int i, int first) {
    const CostTable::Ranges ranges = costs.RangesFrom(nodes[static_cast<size_t>(i)], first);
    return [ranges, prompt = ranges.Prompt(nodes.size()), steps, part](int last) {
      return prompt[last] + steps * ranges.Batch(last, part);
    };
  };
  const auto last = [&](int i, int first) {
    return costs.LastThatFits(nodes[static_cast<size_t>(i)], first);
  };
  return costs.counts_throughput() ? FrontierOfTurns(costs, nodes, request, busy, busy, last)
                                   : FrontierOfTurns(costs, nodes, request, chunk, chunk, last);
}

std::optional<Group> DecodeCuts(const CostTable& costs, const std::vector<size_t>& nodes) {
  const auto step = [&](int i, int first) {
    const double* const seconds = costs.RangesFrom(nodes[static_cast<size_t>(i)], first).step;
    return [seconds](int last) { return seconds[last]; };
  };
  const auto last = [&](int i, int first) {
    return costs.LastThatFits(nodes[static_cast<size_t>(i)], first);
  };
  return LeastSum<true>(costs.model().n_layers(), nodes, step, step, kInfinity, last);
}

}  // namespace baton::plan
