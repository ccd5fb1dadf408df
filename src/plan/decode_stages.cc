#include "plan/decode_stages.h"

#include <algorithm>
#include <limits>

namespace baton::plan {

DecodeStages::DecodeStages(const CostTable& costs, const Group& prefill,
                           const std::vector<size_t>& decode, double computing_s)
    : costs_(costs),
      prefill_(prefill),
      decode_(decode),
      computing_s_(computing_s),
      prompts_(PromptSecondsOn(costs, prefill, decode)),
      chunks_(costs.ChunksOf(prefill.size())) {
  for (size_t place = 0; place < prefill.size(); ++place)
    place_of_.insert(place_of_.end(), static_cast<size_t>(prefill[place].layers.size()), place);
  const double batch = BatchOf(costs, decode.size());
  answer_ = std::max(1, costs.workload().answer_tokens) / batch;
  part_ = costs.BatchPart(batch);
  for (const size_t to : decode) {
    for (const GroupStage& from : prefill) {
      const double bytes_per_s = costs.BytesPerSecond(from.node, to);
      if (from.node == to)
        token_s_.push_back(0);
      else
        token_s_.push_back(bytes_per_s > 0 ? costs.SentTokenBytes() / bytes_per_s
                                           : std::numeric_limits<double>::infinity());
    }
  }
}

double DecodeStages::Busy(size_t i, LayerRange layers) const {
  const CostTable::Ranges ranges = costs_.RangesFrom(decode_[i], layers.first);
  const double own = answer_ * ranges.Batch(layers.last, part_);
  double worst = BusySecondsBeside(costs_, prompts_, chunks_, i, own);
  const Places places = PlacesOf(layers);
  for (size_t place = places.first; place < places.end; ++place) {
    const LayerRange computed = prefill_[place].layers;
    const LayerRange sent{std::max(layers.first, computed.first),
                          std::min(layers.last, computed.last)};
    const double token_s = token_s_[i * prefill_.size() + place];
    if (token_s > 0) worst = std::max(worst, token_s * costs_.SentTokens(sent));
  }
  return worst;
}

double DecodeStages::Exposed(size_t i, LayerRange layers) const {
  const GroupStage to{decode_[i], layers};
  const int tokens = costs_.workload().prompt_tokens;
  const Places places = PlacesOf(layers);
  double worst = 0;
  for (size_t place = places.first; place < places.end; ++place)
    worst = std::max(worst, ExposureOf(costs_, prefill_, place, to, computing_s_, tokens).seconds);
  return worst;
}

}  // namespace baton::plan
