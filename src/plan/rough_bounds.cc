#include "plan/rough_bounds.h"

#include <algorithm>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Sums of other roundings are not less.
constexpr double kBelow = 1 - 1e-9;

void Lower(double& at, double value) {
  if (value < at) at = value;
}

}  // namespace

RoughBounds::RoughBounds(const Judge& judge)
    : judge_(judge), layers_(judge.costs().cluster().nodes.size()) {}

const RoughBounds::Layer& RoughBounds::LayerOf(size_t node) {
  std::optional<Layer>& known = layers_[node];
  if (known) return *known;
  const CostTable& costs = judge_.costs();
  const double per_request = costs.steps_per_request();
  const bool throughput = costs.counts_throughput();
  Layer least;
  for (int first = 0; first < costs.model().n_layers(); ++first) {
    const CostTable::Ranges ranges = costs.RangesFrom(node, first);
    const int last_of_all = costs.LastThatFits(node, first);
    least.held = std::max<double>(least.held, last_of_all - first);
    for (int last = first + 1; last <= last_of_all; ++last) {
      const double each = 1.0 / (last - first);
      const double step = throughput ? ranges.one[last] : ranges.step[last];
      const double prefill_busy = std::min(ranges.whole[last], ranges.piped[last]);
      const double decode_busy = per_request * ranges.step[last];
      Lower(least.chunk_s, each * ranges.chunk[last]);
      Lower(least.step_s, each * step);
      Lower(least.whole_s, each * ranges.whole[last]);
      Lower(least.prefill_busy_s, each * prefill_busy);
      Lower(least.decode_busy_s, each * decode_busy);
      Lower(least.both_busy_s, each * (prefill_busy + decode_busy));
    }
  }
  return known.emplace(least);
}

// All layers on some nodes, as if they could be had in parts.
class RoughBounds::Mix {
 public:
  Mix(RoughBounds& book, const std::vector<size_t>& nodes)
      : all_(book.judge_.costs().model().n_layers()) {
    for (const size_t node : nodes) layers_.push_back(&book.LayerOf(node));
  }
  // Each where it costs least, as far as there is room.
  double Sum(double Layer::*seconds) {
    std::sort(layers_.begin(), layers_.end(),
              [&](const Layer* a, const Layer* b) { return a->*seconds < b->*seconds; });
    double total = 0;
    double left = all_;
    for (const Layer* each : layers_) {
      const double here = std::min(left, each->held);
      if (here > 0) total += here * each->*seconds;
      left -= here;
    }
    return left > 0 ? kInfinity : kBelow * total;
  }
  // All nodes equally busy.
  double Most(double Layer::*seconds) const {
    double rate = 0;
    for (const Layer* each : layers_) rate += 1 / each->*seconds;
    return kBelow * all_ / rate;
  }

 private:
  const double all_;
  std::vector<const Layer*> layers_;
};

OrderBounds RoughBounds::Of(const std::vector<size_t>& nodes) {
  const CostTable& costs = judge_.costs();
  Mix mix(*this, nodes);
  double chunk_hops = 0;
  double step_hops = costs.TokenHop(nodes.back(), nodes.front());
  double slowest = mix.Most(&Layer::chunk_s);
  for (size_t i = 0; i + 1 < nodes.size(); ++i) {
    const double hop = costs.ChunkHop(nodes[i], nodes[i + 1]);
    slowest = std::max(slowest, hop);
    chunk_hops += hop;
    step_hops += costs.StepHop(nodes[i], nodes[i + 1]);
  }
  const double later = costs.later_tokens();
  // Alone, a node may have other chunks than in a pipeline.
  const double prompt = nodes.size() == 1
                            ? mix.Sum(&Layer::whole_s)
                            : mix.Sum(&Layer::chunk_s) + (costs.chunks() - 1) * slowest;
  const double around = chunk_hops + judge_.ToEntry(nodes.back());
  const double decode = later * (step_hops + mix.Sum(&Layer::step_s));
  return {.prefill_s = prompt + around,
          .decode_s = decode,
          .both_s = prompt + around + decode,
          .prefill_busy_s = mix.Most(&Layer::prefill_busy_s),
          .decode_busy_s = mix.Most(&Layer::decode_busy_s),
          .both_busy_s = mix.Most(&Layer::both_busy_s)};
}

OrderBounds RoughBounds::OfAny(const std::vector<size_t>& nodes) {
  const CostTable& costs = judge_.costs();
  Mix mix(*this, nodes);
  const double piped = mix.Sum(&Layer::chunk_s) + (costs.chunks() - 1) * mix.Most(&Layer::chunk_s);
  const double prompt = std::min(mix.Sum(&Layer::whole_s), piped);
  const double decode = costs.later_tokens() * mix.Sum(&Layer::step_s);
  return {.prefill_s = prompt,
          .decode_s = decode,
          .both_s = prompt + decode,
          .prefill_busy_s = mix.Most(&Layer::prefill_busy_s),
          .decode_busy_s = mix.Most(&Layer::decode_busy_s),
          .both_busy_s = mix.Most(&Layer::both_busy_s)};
}

}  // namespace baton::plan
