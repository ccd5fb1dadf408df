// What stages that generate take under one prefill group, asked for every range of layers. Pure.
#pragma once

#include <vector>

#include "plan/evaluate.h"

namespace baton::plan {

class DecodeStages {
 public:
  // All must outlive it. `computing_s`: the prompt on its group.
  DecodeStages(const CostTable& costs, const Group& prefill, const std::vector<size_t>& decode,
               double computing_s);

  // Seconds per request of the i-th of `decode` with these layers, or of a link to it.
  double Busy(size_t i, LayerRange layers) const;
  // What remains of the KV that it is sent when the prompt could have been computed: or of the
  // prompt, where that KV holds up its rows.
  double Exposed(size_t i, LayerRange layers) const;
  // Whatever layers they have.
  double LeastExposed() const { return hand_over_.LeastExposed(decode_); }

 private:
  const CostTable& costs_;
  const std::vector<size_t>& decode_;
  const Group& prefill_;
  const HandOver hand_over_;
  std::vector<bool> meets_rows_;  // may KV that each is sent
  const std::vector<double> prompts_;
  const double chunks_;
  double answer_;  // steps of a batch that a request takes
  double part_;    // of the way from one request to all at once
};

}  // namespace baton::plan
