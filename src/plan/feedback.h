// Feedback: what steps take against what the profile predicts of them. Of each weight type and
// kind of step (a token, a fine chunk of a prompt, a whole one) the median of the last ratios
// counts, so that a few steps that others disturbed change nothing, and only once there are enough
// of them. Tokens come by the dozen a second: more of them are kept, so that no second decides. It
// is bounded, and told anew only when it has moved: planners that hear every tremor would move
// models for nothing. Models that the caches hold in part say nothing, as memory is not what they
// wait for, and are told nothing. It is not kept on disk: what slows a device down today, such as
// heat or other programs, may be gone tomorrow. Pure.
#pragma once

#include <map>
#include <vector>

#include "plan/profile.h"
#include "plan/step_cost.h"

namespace baton::plan {

class Feedback {
 public:
  static constexpr size_t kChunks = 64;   // kept of prompts
  static constexpr size_t kTokens = 256;  // and of answers
  static constexpr size_t kEnough = 8;
  static constexpr double kLeast = 0.5;
  static constexpr double kMost = 2;
  static constexpr double kNews = 0.05;

  // `costs` are those of a profile without corrections.
  void Add(const StepCosts& costs, DType type, const RanStep& step);
  // What is to be told of the device; true if that has changed since the last call.
  bool Refresh();
  const std::vector<Correction>& told() const { return told_; }
  // Memory is faster or slower now, which the costs to come know: what answers said without that is
  // forgotten.
  void ForgetAnswers();

 private:
  // The last ones of a kind, the oldest overwritten first.
  struct Ratios {
    void Add(double ratio, size_t most);

    std::vector<double> values;
    size_t next = 0;
  };
  struct OfType {
    Ratios prompts, fine_prompts, answers;
  };
  // The factor that now holds; `told` as long as it is near.
  static double Settle(const Ratios& ratios, double told);

  std::map<DType, OfType> ratios_;
  std::vector<Correction> told_;
};

}  // namespace baton::plan
