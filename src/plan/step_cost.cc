#include "plan/step_cost.h"

#include <algorithm>
#include <numeric>

namespace baton::plan {
namespace {

ModelCost WithoutHead(ModelCost model) {
  model.head_bytes = 0;
  model.head_flops_per_token = 0;
  return model;
}

Workload PromptOf(int tokens, int chunk_tokens, KvType kv_type) {
  return {.prompt_tokens = tokens,
          .answer_tokens = 0,
          .context_tokens = tokens,
          .chunk_tokens = chunk_tokens,
          .kv_type = kv_type};
}

}  // namespace

StepCosts::StepCosts(DeviceProfile device, ModelCost model, KvType kv_type)
    : device_(std::move(device)),
      model_(std::move(model)),
      headless_(WithoutHead(model_)),
      kv_type_(kv_type) {}

double StepCosts::HeadSeconds(LayerRange layers, int requests) const {
  if (layers.last != model_.n_layers()) return 0;
  Workload workload = PromptOf(1, 1, kv_type_);
  workload.concurrency = requests;
  const LayerRange last{layers.last - 1, layers.last};
  return baton::plan::CostOf(device_, model_, last, workload).decode_step_s -
         baton::plan::CostOf(device_, headless_, last, workload).decode_step_s;
}

std::vector<double> StepCosts::OfChunk(LayerRange layers, int first_token, int count,
                                       bool logits) const {
  // A prompt that ends with this chunk, less one that ends before it: both have the same rest
  // beside whole chunks of `count` tokens.
  const Workload with_it = PromptOf(first_token + count, count, kv_type_);
  const Workload before_it = PromptOf(std::max(1, first_token), count, kv_type_);
  const CostModel until_end(headless_, with_it), until_begin(headless_, before_it);
  std::vector<double> seconds;
  for (int last = layers.first + 1; last <= layers.last; ++last) {
    const LayerRange some{layers.first, last};
    const double before_s =
        first_token == 0 ? 0 : until_begin.CostOf(device_, some).prefill_whole_s;
    seconds.push_back(until_end.CostOf(device_, some).prefill_whole_s - before_s);
  }
  if (logits) seconds.back() += HeadSeconds(layers, 1);
  return seconds;
}

std::vector<double> StepCosts::OfTokens(LayerRange layers, std::span<const int> contexts,
                                        bool logits) const {
  const auto requests = static_cast<int64_t>(contexts.size());
  const int64_t tokens = std::accumulate(contexts.begin(), contexts.end(), int64_t{0});
  Workload workload =
      PromptOf(static_cast<int>(std::max<int64_t>(1, tokens / requests)), 1, kv_type_);
  workload.concurrency = static_cast<int>(requests);
  const CostModel costs(headless_, workload);
  std::vector<double> seconds;
  for (int last = layers.first + 1; last <= layers.last; ++last)
    seconds.push_back(costs.CostOf(device_, {layers.first, last}).decode_step_s);
  if (logits) seconds.back() += HeadSeconds(layers, static_cast<int>(requests));
  return seconds;
}

}  // namespace baton::plan
