#include "plan/routes.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Steps from the least sum towards the least slowest stage, and by how much each is to be better.
constexpr int kSteps = 8;
constexpr double kStep = 0.7;
// More than any stage takes: where few nodes are wanted, each counts so much.
constexpr double kNodeSeconds = 1e6;

using Ranges = CostTable::Ranges;

// Seconds of stages and hops: those that are summed up, and those of which the largest counts.
template <typename Stage, typename StageMost, typename Hop, typename HopMost>
struct Seconds {
  Stage stage;
  StageMost stage_most;
  Hop hop;
  HopMost hop_most;
};
template <typename... Parts>
Seconds(Parts...) -> Seconds<Parts...>;

class Routes {
 public:
  Routes(const CostTable& costs, const std::vector<size_t>& nodes)
      : costs_(costs), layers_(costs.model().n_layers()), all_(nodes) {}

  // The least sum of those whose largest is below the limit, without any node of `others`.
  template <typename Parts>
  std::optional<Group> Least(const Parts& parts, double limit, const Group& others) {
    Begin(parts, limit, others);
    double best = kInfinity;  // sums only grow, so what is no less leads nowhere
    for (int first = 0; first < layers_; ++first) {
      for (size_t i = 0; i < nodes_.size(); ++i) {
        const double begun = first == 0 ? 0 : Reached(i, first, best);
        if (!(begun < best)) continue;
        const Ranges ranges = costs_.RangesFrom(nodes_[i], first);
        const int last_of_all = costs_.LastThatFits(nodes_[i], first);
        for (int last = first + 1; last <= last_of_all; ++last) {
          const double value = begun + parts.stage(ranges, last);
          // More layers take longer.
          if (!(value < best) || !(parts.stage_most(ranges, last) < limit)) break;
          double& ended = ended_[Place(i, last)];
          if (!(value < ended)) continue;
          ended = value;
          first_[Place(i, last)] = first;
          if (last == layers_) best = value;
        }
      }
    }
    return Read();
  }

 private:
  size_t Place(size_t i, int layer) const { return static_cast<size_t>(layer) * nodes_.size() + i; }

  template <typename Parts>
  void Begin(const Parts& parts, double limit, const Group& others) {
    nodes_.clear();
    for (const size_t node : all_) {
      const bool other = std::any_of(others.begin(), others.end(),
                                     [&](const GroupStage& stage) { return stage.node == node; });
      if (!other) nodes_.push_back(node);
    }
    hops_.clear();
    for (const size_t to : nodes_) {
      for (const size_t from : nodes_) {
        const bool may = from != to && parts.hop_most(from, to) < limit;
        hops_.push_back(may ? parts.hop(from, to) : kInfinity);
      }
    }
    const size_t places = nodes_.size() * (static_cast<size_t>(layers_) + 1);
    ended_.assign(places, kInfinity);
    first_.assign(places, 0);
    came_from_.assign(places, 0);
  }

  // Seconds until node i may begin at a layer; `best` if no less.
  double Reached(size_t i, int layer, double best) {
    const double* before = &ended_[Place(0, layer)];
    const double* hops = &hops_[i * nodes_.size()];
    for (size_t j = 0; j < nodes_.size(); ++j) {
      const double value = before[j] + hops[j];
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

  std::optional<Group> Read() const {
    const auto end = ended_.begin() + static_cast<std::ptrdiff_t>(Place(0, layers_));
    const auto least = std::min_element(end, ended_.end());
    if (least == ended_.end() || !(*least < kInfinity)) return std::nullopt;
    auto at = static_cast<size_t>(least - end);
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
  std::vector<size_t> nodes_;
  std::vector<double> hops_;  // by receiver and sender
  // Of the quickest way to the end of each layer on each node: seconds, and the node's first layer;
  // and where the quickest way comes from on which a node begins at a layer.
  std::vector<double> ended_;
  std::vector<int> first_;
  std::vector<size_t> came_from_;
};

}  // namespace

std::vector<Group> BestRoutes(const Judge& judge, const std::vector<size_t>& nodes) {
  const CostTable& costs = judge.costs();
  const double each = costs.workload().objective == Objective::kFit ? kNodeSeconds : 0;
  const double later = costs.later_tokens();
  const double per_request = costs.steps_per_request();
  const auto chunk = [](const Ranges& ranges, int last) { return ranges.chunk[last]; };
  const auto piped = [](const Ranges& ranges, int last) { return ranges.piped[last]; };
  const auto step = [&](const Ranges& ranges, int last) { return each + ranges.step[last]; };
  const auto request = [&](const Ranges& ranges, int last) {
    return each + ranges.chunk[last] + later * ranges.step[last];
  };
  const auto decode_busy = [&](const Ranges& ranges, int last) {
    return per_request * ranges.step[last];
  };
  const auto busy = [&](const Ranges& ranges, int last) {
    return ranges.piped[last] + per_request * ranges.step[last];
  };
  const auto chunk_hop = [&](size_t from, size_t to) { return costs.ChunkHop(from, to); };
  const auto step_hop = [&](size_t from, size_t to) { return costs.StepHop(from, to); };
  const auto request_hop = [&](size_t from, size_t to) {
    return chunk_hop(from, to) + later * step_hop(from, to);
  };
  const auto no_hop = [](size_t, size_t) { return 0.0; };

  Routes routes(costs, nodes);
  std::vector<Group> groups;
  // From the least sum towards the least largest, while that can gain: `times` the largest counts.
  const auto frontier = [&](const auto& parts, double times, const Group& others) {
    double limit = kInfinity;
    double best = kInfinity;
    for (int i = 0; i < kSteps; ++i) {
      auto group = routes.Least(parts, limit, others);
      if (!group) return;
      double largest = 0;
      double total = 0;
      for (size_t s = 0; s < group->size(); ++s) {
        const GroupStage& stage = (*group)[s];
        const Ranges ranges = costs.RangesFrom(stage.node, stage.layers.first);
        largest = std::max(largest, parts.stage_most(ranges, stage.layers.last));
        total += parts.stage(ranges, stage.layers.last);
        if (s + 1 == group->size()) break;
        largest = std::max(largest, parts.hop_most(stage.node, (*group)[s + 1].node));
        total += parts.hop(stage.node, (*group)[s + 1].node);
      }
      if (total >= best) return;
      best = std::min(best, total + times * largest);
      groups.push_back(*std::move(group));
      limit = kStep * largest;
    }
  };
  // Those that compute prompts, those that generate, and each beside the last of the other.
  const auto in_roles = [&](const auto& computing, const auto& generating, double prompt_times,
                            double answer_times) {
    frontier(computing, prompt_times, {});
    const Group prefill = groups.empty() ? Group{} : groups.back();
    frontier(generating, answer_times, {});
    const Group decode = groups.empty() ? Group{} : groups.back();
    frontier(computing, prompt_times, decode);
    frontier(generating, answer_times, prefill);
  };
  const double later_chunks = costs.chunks() - 1;
  if (costs.counts_throughput()) {
    // Sums count for little there.
    frontier(Seconds{request, busy, request_hop, no_hop}, kInfinity, {});
    in_roles(Seconds{chunk, piped, chunk_hop, no_hop}, Seconds{step, decode_busy, step_hop, no_hop},
             kInfinity, kInfinity);
  } else {
    frontier(Seconds{request, chunk, request_hop, chunk_hop}, later_chunks, {});
    in_roles(Seconds{chunk, chunk, chunk_hop, chunk_hop}, Seconds{step, step, step_hop, no_hop},
             later_chunks, 0);
  }
  return groups;
}

}  // namespace baton::plan
