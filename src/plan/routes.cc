#include "plan/routes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "plan/boundaries.h"

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// By how much each step from the least sum towards the least slowest stage is to be better, at
// first, and where that is too much, at last.
constexpr double kStep = 0.7;
constexpr double kStepLeast = 0.9;
// More than any stage takes: where few nodes are wanted, each counts so much.
constexpr double kNodeSeconds = 1e6;

using Ranges = CostTable::Ranges;

// How much each of a node's times counts.
struct Weights {
  double node = 0;  // for being there
  double chunk = 0;
  double piped = 0;
  double step = 0;

  double Of(const Ranges& ranges, int last) const {
    return node + chunk * ranges.chunk[last] + piped * ranges.piped[last] +
           step * ranges.step[last];
  }
};

// Of a route: seconds that are summed up, and those of which the largest counts.
struct Seconds {
  Weights sum, most;
  bool hops_count = true;  // among the largest, too
  double times = 0;        // that the largest counts beside the sum
};

// The group that has the other role.
struct Beside {
  Group group = {};
  bool shares = true;               // may its nodes be taken, too?
  std::vector<double> busy_s = {};  // of each node, if any

  double BusyOf(size_t node) const { return busy_s.empty() ? 0 : busy_s[node]; }
  bool Has(size_t node) const {
    return std::any_of(group.begin(), group.end(),
                       [&](const GroupStage& stage) { return stage.node == node; });
  }
};

struct Route {
  Group group;
  double largest = 0;
};

class Routes {
 public:
  Routes(const CostTable& costs, const std::vector<size_t>& nodes, int steps)
      : costs_(costs), layers_(costs.model().n_layers()), all_(nodes), steps_(steps) {}

  // The least sum of those whose largest is below the limit.
  std::optional<Group> Least(const Seconds& seconds, double limit, const Beside& beside) {
    Begin(seconds, limit, beside);
    double best = kInfinity;  // sums only grow, so what is no less leads nowhere
    for (int first = 0; first < layers_; ++first) {
      if (first > 0) SortEnded(first, best);
      for (size_t i = 0; i < nodes_.size(); ++i) {
        const double begun = first == 0 ? 0 : Reached(i, first, best);
        if (!(begun < best)) continue;
        const Ranges ranges = costs_.RangesFrom(nodes_[i], first);
        const int last_of_all = LastThatFitsBeside(costs_, nodes_[i], first, beside.group);
        const double most = limit - beside.BusyOf(nodes_[i]);
        for (int last = first + 1; last <= last_of_all; ++last) {
          const double value = begun + seconds.sum.Of(ranges, last);
          // More layers take longer.
          if (!(value < best) || !(seconds.most.Of(ranges, last) < most)) break;
          double& ended = ended_[Place(i, last)];
          if (!(value < ended)) continue;
          ended = value;
          first_[Place(i, last)] = first;
          if (last < layers_) continue;
          best = value;
          end_ = i;
        }
      }
    }
    return best < kInfinity ? std::optional(Read()) : std::nullopt;
  }

  // From the least sum towards the least largest, while that can gain.
  std::vector<Route> Frontier(const Seconds& seconds, const Beside& beside) {
    std::vector<Route> found;
    double limit = kInfinity;
    double best = kInfinity;
    double step = kStep;
    for (int i = 0; i < steps_; ++i) {
      auto group = Least(seconds, limit, beside);
      if (!group) {
        // Perhaps it was too much at once.
        if (seconds.times == 0 || found.empty() || step > kStepLeast) break;
        step = std::sqrt(step);
      } else {
        double largest = 0;
        double total = 0;
        for (size_t s = 0; s < group->size(); ++s) {
          const auto& [node, layers] = (*group)[s];
          const Ranges ranges = costs_.RangesFrom(node, layers.first);
          const double most = seconds.most.Of(ranges, layers.last) + beside.BusyOf(node);
          largest = std::max(largest, most);
          total += seconds.sum.Of(ranges, layers.last);
          if (s + 1 == group->size()) break;
          const size_t next = (*group)[s + 1].node;
          if (seconds.hops_count) largest = std::max(largest, Hop(seconds.most, node, next));
          total += Hop(seconds.sum, node, next);
        }
        if (!(total < best)) break;
        best = std::min(best, total + seconds.times * largest);
        found.push_back({*std::move(group), largest});
      }
      limit = step * found.back().largest;
    }
    return found;
  }

 private:
  size_t Place(size_t i, int layer) const { return static_cast<size_t>(layer) * nodes_.size() + i; }

  double Hop(const Weights& weights, size_t from, size_t to) const {
    return weights.chunk * costs_.ChunkHop(from, to) + weights.step * costs_.StepHop(from, to);
  }

  void Begin(const Seconds& seconds, double limit, const Beside& beside) {
    nodes_.clear();
    for (const size_t node : all_) {
      if (beside.shares || !beside.Has(node)) nodes_.push_back(node);
    }
    hops_.clear();
    for (const size_t to : nodes_) {
      for (const size_t from : nodes_) {
        const bool linked = from != to && costs_.TokenHop(from, to) < kInfinity;
        const bool may = linked && !(seconds.hops_count && Hop(seconds.most, from, to) >= limit);
        hops_.push_back(may ? Hop(seconds.sum, from, to) : kInfinity);
      }
    }
    const size_t places = nodes_.size() * (static_cast<size_t>(layers_) + 1);
    ended_.assign(places, kInfinity);
    first_.assign(places, 0);
    came_from_.assign(places, 0);
  }

  // Who ends at a layer, the quickest first, as far as it may lead somewhere.
  void SortEnded(int layer, double best) {
    sorted_.clear();
    for (size_t j = 0; j < nodes_.size(); ++j) {
      const double seconds = ended_[Place(j, layer)];
      if (seconds < best) sorted_.emplace_back(seconds, j);
    }
    std::sort(sorted_.begin(), sorted_.end());
  }

  // Seconds until node i may begin at that layer; `best` if no less.
  double Reached(size_t i, int layer, double best) {
    const double* hops = &hops_[i * nodes_.size()];
    for (const auto& [before, j] : sorted_) {
      if (!(before < best)) break;
      const double value = before + hops[j];
      if (!(value < best) || HasBeenOn(i, j, layer)) continue;
      best = value;
      came_from_[Place(i, layer)] = j;
    }
    return best;
  }

  // Is node i behind node j, which ends at a layer?
  bool HasBeenOn(size_t i, size_t j, int layer) const {
    while (const int first = first_[Place(j, layer)]) {
      j = came_from_[Place(j, first)];
      if (j == i) return true;
      layer = first;
    }
    return false;
  }

  Group Read() const {
    size_t at = end_;
    Group group;
    for (int last = layers_; last > 0;) {
      const int first = first_[Place(at, last)];
      group.push_back({nodes_[at], {first, last}});
      if (first > 0) at = came_from_[Place(at, first)];
      last = first;
    }
    std::reverse(group.begin(), group.end());
    return group;
  }

  const CostTable& costs_;
  const int layers_;
  const std::vector<size_t>& all_;
  const int steps_;
  std::vector<size_t> nodes_;
  std::vector<double> hops_;  // by receiver and sender
  std::vector<std::pair<double, size_t>> sorted_;
  // Of the quickest way to the end of each layer on each node: seconds, and the node's first layer;
  // and where the quickest way comes from on which a node begins at a layer.
  std::vector<double> ended_;
  std::vector<int> first_;
  std::vector<size_t> came_from_;
  size_t end_ = 0;  // of the best route
};

double PerNode(const CostTable& costs) {
  return costs.workload().objective == Objective::kFit ? kNodeSeconds : 0;
}

// Of those who do both. Where throughput counts, sums count for little.
Seconds OfBoth(const CostTable& costs) {
  Seconds seconds{.sum = {.node = PerNode(costs), .chunk = 1, .step = costs.later_tokens()}};
  if (costs.counts_throughput()) {
    seconds.most = {.piped = 1, .step = costs.steps_per_request()};
    seconds.hops_count = false;
    seconds.times = kInfinity;
  } else {
    seconds.most = {.chunk = 1};
    seconds.times = costs.chunks() - 1;
  }
  return seconds;
}

Seconds OfComputing(const CostTable& costs) {
  if (costs.counts_throughput())
    return {{.chunk = 1}, {.piped = 1}, /*hops_count=*/false, /*times=*/kInfinity};
  return {{.chunk = 1}, {.chunk = 1}, /*hops_count=*/true, /*times=*/costs.chunks() - 1};
}

Seconds OfGenerating(const CostTable& costs) {
  const Weights sum{.node = PerNode(costs), .step = 1};
  if (costs.counts_throughput())
    return {sum, {.step = costs.steps_per_request()}, /*hops_count=*/false, /*times=*/kInfinity};
  return {sum, {.step = 1}, /*hops_count=*/true, /*times=*/0};
}

// What stages are busy with, where that counts: by node.
std::vector<double> BusyOf(const CostTable& costs, const Seconds& seconds, const Group& group) {
  if (!costs.counts_throughput()) return {};
  std::vector<double> busy(costs.cluster().nodes.size());
  for (const auto& [node, layers] : group)
    busy[node] = seconds.most.Of(costs.RangesFrom(node, layers.first), layers.last);
  return busy;
}

// Each of one role with the other on other nodes: where throughput counts, no busier, if possible.
template <typename Add>
void AddPairs(Routes& routes, const std::vector<Route>& found, const Seconds& other,
              const Add& add) {
  for (const Route& route : found) {
    const Beside beside{.group = route.group, .shares = false};
    auto group = routes.Least(other, other.hops_count ? kInfinity : route.largest, beside);
    if (!group && !other.hops_count) group = routes.Least(other, kInfinity, beside);
    if (group) add(route.group, *std::move(group));
  }
}

std::vector<Group> GroupsOf(std::vector<Route> routes) {
  std::vector<Group> groups;
  for (Route& route : routes) groups.push_back(std::move(route.group));
  return groups;
}

}  // namespace

std::vector<Arrangement> BestRoutes(const Judge& judge, const std::vector<size_t>& nodes,
                                    int steps) {
  const CostTable& costs = judge.costs();
  const Seconds computing = OfComputing(costs);
  const Seconds generating = OfGenerating(costs);
  Routes routes(costs, nodes, steps);
  std::vector<Arrangement> found;
  for (Route& both : routes.Frontier(OfBoth(costs), {}))
    found.push_back({{}, std::move(both.group)});
  const std::vector<Route> prefills = routes.Frontier(computing, {});
  const std::vector<Route> decodes = routes.Frontier(generating, {});
  AddPairs(routes, prefills, generating, [&](const Group& prefill, Group decode) {
    found.push_back({prefill, std::move(decode)});
  });
  AddPairs(routes, decodes, computing, [&](const Group& decode, Group prefill) {
    found.push_back({std::move(prefill), decode});
  });
  for (const std::vector<Route>* alone : {&prefills, &decodes}) {
    for (const Route& route : *alone) found.push_back({{}, route.group});
  }
  return found;
}

std::vector<Group> RoutesToCompute(const Judge& judge, const std::vector<size_t>& nodes,
                                   const Group& decode, int steps) {
  const CostTable& costs = judge.costs();
  const Beside beside{.group = decode, .busy_s = BusyOf(costs, OfGenerating(costs), decode)};
  return GroupsOf(Routes(costs, nodes, steps).Frontier(OfComputing(costs), beside));
}

std::vector<Group> RoutesToGenerate(const Judge& judge, const std::vector<size_t>& nodes,
                                    const Group& prefill, int steps) {
  const CostTable& costs = judge.costs();
  const Beside beside{.group = prefill, .busy_s = BusyOf(costs, OfComputing(costs), prefill)};
  return GroupsOf(Routes(costs, nodes, steps).Frontier(OfGenerating(costs), beside));
}

}  // namespace baton::plan
