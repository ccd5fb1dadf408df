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
  // What remains of the KV that it is sent when the prompt has been computed.
  double Exposed(size_t i, LayerRange layers) const;

 private:
  // Those of `prefill` that have some of these layers, one after the other.
  struct Places {
    size_t first, end;
  };
  Places PlacesOf(LayerRange layers) const {
    return {place_of_[static_cast<size_t>(layers.first)],
            place_of_[static_cast<size_t>(layers.last - 1)] + 1};
  }

  const CostTable& costs_;
  const Group& prefill_;
  const std::vector<size_t>& decode_;
  const double computing_s_;
  std::vector<size_t> place_of_;  // in `prefill`, of each layer
  const std::vector<double> prompts_;
  const double chunks_;
  std::vector<double> token_s_;  // by receiver and sender: the KV of a token in one layer
  double answer_;                // steps of a batch that a request takes
  double part_;                  // of the way from one request to all at once
};

}  // namespace baton::plan
