#include "plan/feedback.h"

#include <algorithm>
#include <cmath>

namespace baton::plan {

void Feedback::Add(const StepCosts& costs, DType type, const RanStep& step) {
  if (costs.is_cached()) return;
  const bool answers = step.tokens == 1;
  const double predicted_s =
      answers ? costs.OfTokens(step.layers, {&step.first_token, 1}, step.logits).back()
              : costs.OfChunk(step.layers, step.first_token, step.tokens, step.logits).back();
  const double ratio = step.seconds / predicted_s;
  if (!std::isfinite(ratio) || !(ratio > 0)) return;
  OfType& kinds = ratios_[type];
  if (answers) return kinds.answers.Add(ratio, kTokens);
  (step.tokens <= Correction::kFineTokens ? kinds.fine_prompts : kinds.prompts).Add(ratio, kChunks);
}

void Feedback::Ratios::Add(double ratio, size_t most) {
  if (values.size() < most) {
    values.push_back(ratio);
    return;
  }
  values[next] = ratio;
  next = (next + 1) % most;
}

double Feedback::Settle(const Ratios& ratios, double told) {
  if (ratios.values.size() < kEnough) return told;
  std::vector<double> sorted = ratios.values;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const double now = std::clamp(*middle, kLeast, kMost);
  return std::abs(now / told - 1) > kNews ? now : told;
}

void Feedback::ForgetAnswers() {
  for (auto& [type, kinds] : ratios_) kinds.answers = {};
  for (Correction& told : told_) told.decode = 1;
  std::erase_if(told_, [](const Correction& told) { return told == Correction{told.type}; });
}

bool Feedback::Refresh() {
  std::vector<Correction> now;
  for (const auto& [type, kinds] : ratios_) {
    Correction correction{type};
    for (const Correction& told : told_) {
      if (told.type == type) correction = told;
    }
    correction.prefill = Settle(kinds.prompts, correction.prefill);
    correction.fine_prefill = Settle(kinds.fine_prompts, correction.fine_prefill);
    correction.decode = Settle(kinds.answers, correction.decode);
    if (correction != Correction{type}) now.push_back(correction);
  }
  if (now == told_) return false;
  told_ = std::move(now);
  return true;
}

}  // namespace baton::plan
