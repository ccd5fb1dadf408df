// The cost model, step by step: what one run of a device takes at the context and batch that it
// has. Sums of these are what plan/cost.h says of whole prompts and of tokens. Pure.
#pragma once

#include <span>
#include <vector>

#include "plan/cost.h"

namespace baton::plan {

// One step that a node ran, of one sequence, and what it took.
struct RanStep {
  LayerRange layers;
  int first_token = 0;
  int tokens = 0;  // 1: the next token of an answer; more: a chunk of a prompt
  bool logits = false;
  double seconds = 0;
};

class StepCosts {
 public:
  StepCosts(DeviceProfile device, ModelCost model, KvType kv_type);

  // Of a model that caches hold in part, or all of it: steps of others say nothing of its own.
  bool is_cached() const { return model_.CachedShare(device_.cache_bytes) > 0; }
  // Seconds until the first layer, the first two, ... of `layers` are computed, for tokens
  // [first_token, first_token + count) of one prompt, with the logits of the last one or without.
  std::vector<double> OfChunk(LayerRange layers, int first_token, int count, bool logits) const;
  // The same for the next token of each of some sequences, which have so many tokens before it.
  // Those of different lengths count as if all had their mean.
  std::vector<double> OfTokens(LayerRange layers, std::span<const int> contexts, bool logits) const;

 private:
  double HeadSeconds(LayerRange layers, int requests) const;

  const DeviceProfile device_;
  const ModelCost model_;
  const ModelCost headless_;
  const KvType kv_type_;
};

}  // namespace baton::plan
