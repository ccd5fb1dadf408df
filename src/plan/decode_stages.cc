#include "plan/decode_stages.h"

#include <algorithm>

namespace baton::plan {

DecodeStages::DecodeStages(const CostTable& costs, const Group& prefill,
                           const std::vector<size_t>& decode, double computing_s)
    : costs_(costs),
      decode_(decode),
      hand_over_(costs, prefill, computing_s, costs.workload().prompt_tokens),
      prompts_(PromptSecondsOn(costs, prefill, decode)),
      chunks_(costs.ChunksOf(prefill.size())) {
  const double batch = BatchOf(costs, decode.size());
  answer_ = std::max(1, costs.workload().answer_tokens) / batch;
  part_ = costs.BatchPart(batch);
}

double DecodeStages::Busy(size_t i, LayerRange layers) const {
  const CostTable::Ranges ranges = costs_.RangesFrom(decode_[i], layers.first);
  const double own = answer_ * ranges.Batch(layers.last, part_);
  return std::max(BusySecondsBeside(costs_, prompts_, chunks_, i, own),
                  hand_over_.SendingAt({decode_[i], layers}));
}

}  // namespace baton::plan
