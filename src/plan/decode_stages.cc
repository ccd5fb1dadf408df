#include "plan/decode_stages.h"

#include <algorithm>

namespace baton::plan {

DecodeStages::DecodeStages(const CostTable& costs, const Group& prefill,
                           const std::vector<size_t>& decode, double computing_s)
    : costs_(costs),
      decode_(decode),
      prefill_(prefill),
      hand_over_(costs, prefill, computing_s, costs.workload().prompt_tokens),
      prompts_(PromptSecondsOn(costs, prefill, decode)),
      chunks_(costs.ChunksOf(prefill.size())) {
  const double batch = BatchOf(costs, decode.size());
  answer_ = std::max(1, costs.workload().answer_tokens) / batch;
  part_ = costs.BatchPart(batch);
  for (const size_t node : decode) {
    const bool late = prefill.size() > 2 &&
                      std::any_of(prefill.begin() + 2, prefill.end(),
                                  [&](const GroupStage& stage) { return stage.node == node; });
    meets_rows_.push_back(late);
  }
}

double DecodeStages::Exposed(size_t i, LayerRange layers) const {
  const GroupStage stage{decode_[i], layers};
  const double exposed_s = hand_over_.ExposedAt(stage);
  if (!meets_rows_[i]) return exposed_s;
  const std::vector<double> times =
      HopTimes(costs_, prefill_, {stage}, costs_.workload().prompt_tokens);
  if (times.empty()) return exposed_s;
  return std::max(exposed_s,
                  PrefillSeconds(costs_, prefill_, times) - PrefillSeconds(costs_, prefill_));
}

double DecodeStages::Busy(size_t i, LayerRange layers) const {
  const CostTable::Ranges ranges = costs_.RangesFrom(decode_[i], layers.first);
  const double own = answer_ * ranges.Batch(layers.last, part_);
  return std::max(BusySecondsBeside(costs_, prompts_, chunks_, i, own),
                  hand_over_.SendingAt({decode_[i], layers}));
}

}  // namespace baton::plan
