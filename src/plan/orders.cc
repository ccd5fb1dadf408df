#include "plan/orders.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

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
    : judge_(judge), kinds_(KindsOf(judge)), start_(Start()), rough_(judge) {}

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
  const double per_request = costs.steps_per_request();
  const bool throughput = costs.counts_throughput();
  for (auto* values : {&after.fill, &after.slowest, &after.decode, &after.both, &after.prefill_busy,
                       &after.decode_busy, &after.both_busy})
    values->assign(static_cast<size_t>(layers) + 1, kInfinity);
  bool any = false;
  for (int first = 0; first < layers; ++first) {
    const auto from = static_cast<size_t>(first);
    const int last_of_all = costs.LastThatFits(node, first);
    if (!(before.fill[from] < kInfinity) || last_of_all <= first) continue;
    any = true;
    const CostTable::Ranges ranges = costs.RangesFrom(node, first);
    // Of all ranges from there on: the least of what was known and of `value`, one sum at a time.
    const auto lower = [&](std::vector<double>& known, const auto& value) {
      double* const seconds = known.data();
      for (int last = first + 1; last <= last_of_all; ++last)
        seconds[last] = std::min(seconds[last], value(last));
    };
    const double fill = before.fill[from] + chunk_hop;
    const double slowest = std::max(before.slowest[from], chunk_hop);
    const double decode = before.decode[from] + step_hop;
    const double both = before.both[from] + chunk_hop + later * step_hop;
    const double* const step = throughput ? ranges.one : ranges.step;
    lower(after.fill, [&](int last) { return fill + ranges.chunk[last]; });
    lower(after.slowest, [&](int last) { return std::max(slowest, ranges.chunk[last]); });
    lower(after.decode, [&](int last) { return decode + step[last]; });
    lower(after.both, [&](int last) { return both + ranges.chunk[last] + later * step[last]; });
    if (!throughput) continue;
    // Alone or as one of several: the less of both bounds it.
    const double prefill_busy = before.prefill_busy[from];
    const double decode_busy = before.decode_busy[from];
    const double both_busy = before.both_busy[from];
    lower(after.prefill_busy, [&](int last) {
      return std::max(prefill_busy, std::min(ranges.whole[last], ranges.piped[last]));
    });
    lower(after.decode_busy,
          [&](int last) { return std::max(decode_busy, per_request * ranges.step[last]); });
    lower(after.both_busy, [&](int last) {
      const double prompt = std::min(ranges.whole[last], ranges.piped[last]);
      return std::max(both_busy, prompt + per_request * ranges.step[last]);
    });
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
                     const MayBeWorth& may_be_worth, std::vector<size_t>& nodes) {
  for (const size_t node : from) {
    if (std::find(nodes.begin(), nodes.end(), node) != nodes.end()) continue;
    nodes.push_back(node);
    bool leads_on = true;
    if (may_be_worth(nodes)) {
      const BoundsBook::Known& known = bounds_.Of(nodes);
      if (known.bounds && known_.insert(nodes).second) orders_.push_back({nodes, *known.bounds});
      leads_on = known.leads_on;
    }
    if (leads_on && nodes.size() < stages_max) Grow(from, stages_max, may_be_worth, nodes);
    nodes.pop_back();
  }
}

void OrderBook::AddAll(const std::vector<size_t>& nodes, size_t stages_max,
                       const MayBeWorth& may_be_worth) {
  std::vector<size_t> begun;
  Grow(nodes, stages_max, may_be_worth, begun);
}

void OrderBook::Add(const std::vector<size_t>& nodes) {
  const BoundsBook::Known& known = bounds_.Of(nodes);
  if (known.bounds && known_.insert(nodes).second) orders_.push_back({nodes, *known.bounds});
}

}  // namespace baton::plan
