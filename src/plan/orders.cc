#include "plan/orders.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Steps from the least sum towards the least slowest stage, and by how much each is to be better.
constexpr int kSteps = 20;
constexpr double kStep = 0.85;
constexpr double kCoarseStep = 0.7;  // where the largest is all that counts
// More than any stage takes: where few nodes are wanted, each counts so much.
constexpr double kNodeSeconds = 1e6;

bool CountsThroughput(const CostTable& costs) {
  return costs.workload().objective == Objective::kThroughput;
}

void Lower(double& at, double value) {
  if (value < at) at = value;
}

// For each node the first that it can be exchanged for: as fast, as large, and linked alike.
std::vector<size_t> KindsOf(const Judge& judge) {
  const CostTable& costs = judge.costs();
  const size_t count = costs.cluster().nodes.size();
  const auto exchangeable = [&](size_t a, size_t b) {
    if (!costs.SameCosts(a, b) || judge.ToEntry(a) != judge.ToEntry(b)) return false;
    if (judge.IsInReach(a) != judge.IsInReach(b) || !costs.SameLink(a, b, b, a)) return false;
    for (size_t other = 0; other < count; ++other) {
      if (other == a || other == b) continue;
      if (!costs.SameLink(a, other, b, other) || !costs.SameLink(other, a, other, b)) return false;
    }
    return true;
  };
  std::vector<size_t> kinds;
  std::vector<size_t> firsts;
  for (size_t node = 0; node < count; ++node) {
    const auto first = std::find_if(firsts.begin(), firsts.end(),
                                    [&](size_t other) { return exchangeable(other, node); });
    kinds.push_back(first == firsts.end() ? node : *first);
    if (first == firsts.end()) firsts.push_back(node);
  }
  return kinds;
}

}  // namespace

BoundsBook::BoundsBook(const Judge& judge)
    : judge_(judge), kinds_(KindsOf(judge)), start_(Start()) {}

BoundsBook::Front BoundsBook::Start() const {
  const auto width = static_cast<size_t>(judge_.costs().model().n_layers()) + 1;
  std::vector<double> nothing(width, kInfinity);
  nothing[0] = 0;
  return {nothing, nothing, nothing, nothing, nothing, nothing, nothing};
}

bool BoundsBook::Extend(const Front& before, std::span<const size_t> nodes, Front& after) const {
  const CostTable& costs = judge_.costs();
  const int layers = costs.model().n_layers();
  const size_t node = nodes.back();
  const size_t previous = nodes.size() > 1 ? nodes[nodes.size() - 2] : node;
  const double chunk_hop = costs.ChunkHop(previous, node);
  const double step_hop = costs.StepHop(previous, node);
  if (!(chunk_hop < kInfinity) || !judge_.IsInReach(node)) return false;
  const double later = costs.later_tokens();
  const double per_request =
      std::max(1, costs.workload().answer_tokens) / static_cast<double>(costs.concurrency());
  const bool throughput = CountsThroughput(costs);
  for (auto* values : {&after.fill, &after.slowest, &after.decode, &after.both, &after.prefill_busy,
                       &after.decode_busy, &after.both_busy})
    values->assign(static_cast<size_t>(layers) + 1, kInfinity);
  bool any = false;
  for (int first = 0; first < layers; ++first) {
    if (!(before.fill[static_cast<size_t>(first)] < kInfinity)) continue;
    const auto from = static_cast<size_t>(first);
    const double fill = before.fill[from] + chunk_hop;
    const double slowest = std::max(before.slowest[from], chunk_hop);
    const double decode = before.decode[from] + step_hop;
    const double both = before.both[from] + chunk_hop + later * step_hop;
    const int last_of_all = costs.LastThatFits(node, first);
    const CostTable::Ranges ranges = costs.RangesFrom(node, first);
    for (int last = first + 1; last <= last_of_all; ++last) {
      const auto to = static_cast<size_t>(last);
      const double chunk = ranges.chunk[last];
      const double step = throughput ? ranges.one[last] : ranges.step[last];
      Lower(after.fill[to], fill + chunk);
      Lower(after.slowest[to], std::max(slowest, chunk));
      Lower(after.decode[to], decode + step);
      Lower(after.both[to], both + chunk + later * step);
      if (throughput) {
        // Alone or as one of several: the less of both bounds it.
        const double prefill_busy = std::min(ranges.whole[last], ranges.piped[last]);
        const double decode_busy = per_request * ranges.step[last];
        Lower(after.prefill_busy[to], std::max(before.prefill_busy[from], prefill_busy));
        Lower(after.decode_busy[to], std::max(before.decode_busy[from], decode_busy));
        Lower(after.both_busy[to], std::max(before.both_busy[from], prefill_busy + decode_busy));
      }
      any = true;
    }
  }
  return any;
}

OrderBounds BoundsBook::BoundsOf(const Front& front, const std::vector<size_t>& nodes) const {
  const CostTable& costs = judge_.costs();
  const double later = costs.later_tokens();
  const double to_entry = judge_.ToEntry(nodes.back());
  OrderBounds bounds;
  if (nodes.size() == 1) {
    const LayerRange all{0, costs.model().n_layers()};
    bounds.prefill_s = costs.PrefillWhole(nodes[0], all) + to_entry;
    bounds.decode_s = later * front.decode.back();
    bounds.both_s = bounds.prefill_s + bounds.decode_s;
  } else {
    const double ring = costs.TokenHop(nodes.back(), nodes.front());
    const double later_chunks = (costs.chunks() - 1) * front.slowest.back();
    bounds.prefill_s = ring < kInfinity ? front.fill.back() + later_chunks + to_entry : kInfinity;
    bounds.decode_s = ring < kInfinity ? later * (front.decode.back() + ring) : kInfinity;
    bounds.both_s =
        ring < kInfinity ? front.both.back() + later * ring + later_chunks + to_entry : kInfinity;
  }
  bounds.prefill_busy_s = front.prefill_busy.back();
  bounds.decode_busy_s = front.decode_busy.back();
  bounds.both_busy_s = front.both_busy.back();
  return bounds;
}

const BoundsBook::Known& BoundsBook::Of(const std::vector<size_t>& nodes) {
  std::u32string key;
  for (const size_t node : nodes) key.push_back(static_cast<char32_t>(kinds_[node]));
  const auto [at, is_new] = known_.try_emplace(key);
  Known& known = at->second;
  if (!is_new) return known;
  size_t begun = 0;
  while (begun < std::min(last_.size(), key.size()) && last_[begun] == key[begun]) ++begun;
  if (fronts_.size() < nodes.size()) fronts_.resize(nodes.size());
  known.leads_on = true;
  for (size_t i = begun; i < nodes.size() && known.leads_on; ++i) {
    last_ = key.substr(0, i);
    known.leads_on = Extend(i == 0 ? start_ : fronts_[i - 1], {nodes.data(), i + 1}, fronts_[i]);
  }
  if (!known.leads_on) return known;
  last_ = key;
  const Front& front = fronts_[nodes.size() - 1];
  if (front.fill.back() < kInfinity) known.bounds = BoundsOf(front, nodes);
  return known;
}

void OrderBook::Grow(const std::vector<size_t>& from, size_t stages_max,
                     std::vector<size_t>& nodes) {
  for (const size_t node : from) {
    if (std::find(nodes.begin(), nodes.end(), node) != nodes.end()) continue;
    nodes.push_back(node);
    const BoundsBook::Known& known = bounds_.Of(nodes);
    if (known.bounds && known_.insert(nodes).second) orders_.push_back({nodes, *known.bounds});
    if (known.leads_on && nodes.size() < stages_max) Grow(from, stages_max, nodes);
    nodes.pop_back();
  }
}

void OrderBook::AddAll(const std::vector<size_t>& nodes, size_t stages_max) {
  std::vector<size_t> begun;
  Grow(nodes, stages_max, begun);
}

void OrderBook::Add(const std::vector<size_t>& nodes) {
  const BoundsBook::Known& known = bounds_.Of(nodes);
  if (known.bounds && known_.insert(nodes).second) orders_.push_back({nodes, *known.bounds});
}

namespace {

// One run along a sequence: which stages, with the least sum below a limit.
class Along {
 public:
  Along(const CostTable& costs, const std::vector<size_t>& sequence)
      : costs_(costs),
        sequence_(sequence),
        width_(static_cast<size_t>(costs.model().n_layers()) + 1) {}

  template <typename Sum, typename Most, typename HopSum, typename HopMost>
  std::optional<Group> Least(const Sum& sum, const Most& most, const HopSum& hop_sum,
                             const HopMost& hop_most, double limit) {
    const int layers = costs_.model().n_layers();
    const size_t count = sequence_.size();
    done_.assign(count * width_, kInfinity);
    begins_.assign(count * width_, 0);
    came_from_.assign(count * width_, count);
    std::vector<double> reached(width_);
    double best = kInfinity;  // of all layers: sums only grow, so what is no less leads nowhere
    for (size_t i = 0; i < count; ++i) {
      const size_t node = sequence_[i];
      std::fill(reached.begin(), reached.end(), kInfinity);
      reached[0] = 0;
      for (size_t j = 0; j < i; ++j) {
        const double hop = hop_sum(sequence_[j], node);
        if (!(hop < kInfinity) || !(hop_most(sequence_[j], node) < limit)) continue;
        for (size_t layer = 1; layer < width_; ++layer) {
          const double value = done_[j * width_ + layer] + hop;
          if (!(value < reached[layer])) continue;
          reached[layer] = value;
          came_from_[i * width_ + layer] = j;
        }
      }
      double* done = &done_[i * width_];
      int* begins = &begins_[i * width_];
      for (int first = 0; first < layers; ++first) {
        const double begun = reached[static_cast<size_t>(first)];
        if (!(begun < best)) continue;
        const CostTable::Ranges ranges = costs_.RangesFrom(node, first);
        const int last_of_all = costs_.LastThatFits(node, first);
        for (int last = first + 1; last <= last_of_all; ++last) {
          const double value = begun + sum(ranges, last);
          if (!(value < best) || !(most(ranges, last) < limit)) break;  // more layers take longer
          if (!(value < done[last])) continue;
          done[last] = value;
          begins[last] = first;
        }
      }
      best = std::min(best, done[layers]);
    }
    return Read();
  }

 private:
  std::optional<Group> Read() const {
    size_t at = sequence_.size();
    double least = kInfinity;
    for (size_t i = 0; i < sequence_.size(); ++i) {
      const double value = done_[i * width_ + width_ - 1];
      if (!(value < least)) continue;
      least = value;
      at = i;
    }
    if (at == sequence_.size()) return std::nullopt;
    Group group;
    for (auto last = static_cast<int>(width_ - 1); last > 0;) {
      const int first = begins_[at * width_ + static_cast<size_t>(last)];
      group.push_back({sequence_[at], {first, last}});
      if (first > 0) at = came_from_[at * width_ + static_cast<size_t>(first)];
      last = first;
    }
    std::reverse(group.begin(), group.end());
    return group;
  }

  const CostTable& costs_;
  const std::vector<size_t>& sequence_;
  const size_t width_;
  std::vector<double> done_;  // by place and layers
  std::vector<int> begins_;
  std::vector<size_t> came_from_;
};

}  // namespace

std::vector<Group> BestAlong(const Judge& judge, const std::vector<size_t>& sequence) {
  const CostTable& costs = judge.costs();
  Along along(costs, sequence);
  const double each = costs.workload().objective == Objective::kFit ? kNodeSeconds : 0;
  const double later = costs.later_tokens();
  const double per_request =
      std::max(1, costs.workload().answer_tokens) / static_cast<double>(costs.concurrency());
  const bool throughput = CountsThroughput(costs);
  using Ranges = CostTable::Ranges;
  const auto chunk = [&](const Ranges& ranges, int last) { return ranges.chunk[last]; };
  const auto whole = [&](const Ranges& ranges, int last) { return ranges.piped[last]; };
  const auto step = [&](const Ranges& ranges, int last) { return each + ranges.step[last]; };
  const auto both = [&](const Ranges& ranges, int last) {
    return each + ranges.chunk[last] + later * ranges.step[last];
  };
  const auto busy = [&](const Ranges& ranges, int last) {
    return ranges.piped[last] + per_request * ranges.step[last];
  };
  const auto decode_busy = [&](const Ranges& ranges, int last) {
    return per_request * ranges.step[last];
  };
  const auto chunk_hop = [&](size_t from, size_t to) { return costs.ChunkHop(from, to); };
  const auto step_hop = [&](size_t from, size_t to) { return costs.StepHop(from, to); };
  const auto both_hop = [&](size_t from, size_t to) {
    return chunk_hop(from, to) + later * step_hop(from, to);
  };
  const auto no_hop = [](size_t, size_t) { return 0.0; };

  std::vector<Group> groups;
  // From the least sum towards the least largest, while that can gain: `times` the largest counts.
  const auto frontier = [&](const auto& sum, const auto& most, const auto& hop_sum,
                            const auto& hop_most, double times) {
    double limit = kInfinity;
    double best = kInfinity;
    for (int i = 0; i < kSteps; ++i) {
      auto group = along.Least(sum, most, hop_sum, hop_most, limit);
      if (!group) return;
      double largest = 0;
      double total = 0;
      for (size_t s = 0; s < group->size(); ++s) {
        const GroupStage& stage = (*group)[s];
        const Ranges ranges = costs.RangesFrom(stage.node, stage.layers.first);
        largest = std::max(largest, most(ranges, stage.layers.last));
        total += sum(ranges, stage.layers.last);
        if (s + 1 == group->size()) break;
        largest = std::max(largest, hop_most(stage.node, (*group)[s + 1].node));
        total += hop_sum(stage.node, (*group)[s + 1].node);
      }
      if (total >= best) return;
      best = std::min(best, total + times * largest);
      groups.push_back(*std::move(group));
      limit = (times < kInfinity ? kStep : kCoarseStep) * largest;
    }
  };
  const double later_chunks = costs.chunks() - 1;
  if (throughput) {
    // Sums count for little there.
    frontier(both, busy, both_hop, no_hop, kInfinity);
    frontier(chunk, whole, chunk_hop, no_hop, kInfinity);
    frontier(step, decode_busy, step_hop, no_hop, kInfinity);
  } else {
    frontier(both, chunk, both_hop, chunk_hop, later_chunks);
    frontier(chunk, chunk, chunk_hop, chunk_hop, later_chunks);
    if (auto group = along.Least(step, step, step_hop, no_hop, kInfinity))
      groups.push_back(*std::move(group));
  }
  return groups;
}

std::vector<std::vector<size_t>> Sequences(const ClusterProfile& cluster, const ModelCost& model,
                                           const std::vector<size_t>& nodes) {
  const auto sorted_by = [&](auto value) {
    std::vector<std::pair<double, size_t>> keys;
    for (size_t i = 0; i < nodes.size(); ++i)
      keys.emplace_back(-value(cluster.nodes[nodes[i]].device), i);
    std::sort(keys.begin(), keys.end());
    std::vector<size_t> sequence;
    for (const auto& [key, at] : keys) sequence.push_back(nodes[at]);
    return sequence;
  };
  return {nodes, sorted_by([&](const DeviceProfile& device) {
            return device.RateFor(model.weight_type).read_bytes_per_s;
          }),
          sorted_by([](const DeviceProfile& device) {
            return static_cast<double>(device.memory_bytes);
          })};
}

}  // namespace baton::plan
