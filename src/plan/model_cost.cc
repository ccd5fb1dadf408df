#include "plan/model_cost.h"

#include <algorithm>
#include <map>

namespace baton::plan {
namespace {

DType MostBytesAreOf(const std::vector<TensorInfo>& tensors) {
  std::map<DType, uint64_t> bytes_of;
  for (const TensorInfo& tensor : tensors) bytes_of[tensor.type] += tensor.size_bytes;
  CHECK(!bytes_of.empty());
  return std::max_element(bytes_of.begin(), bytes_of.end(),
                          [](auto& a, auto& b) { return a.second < b.second; })
      ->first;
}

}  // namespace

ModelCost CostOfModel(const ModelSpec& spec, const std::vector<TensorInfo>& tensors,
                      std::string name) {
  std::vector<int32_t> windows;
  for (int32_t layer = 0; layer < spec.n_layers; ++layer) windows.push_back(spec.WindowOf(layer));
  return {.name = std::move(name),
          .weight_type = MostBytesAreOf(tensors),
          .layer_weight_bytes = spec.layer_weight_bytes,
          .layer_active_bytes = spec.layer_active_bytes,
          .experts = spec.experts.count,
          .experts_used = spec.experts.used,
          .layer_windows = std::move(windows),
          .layer_flops_per_token = spec.FlopsPerTokenPerLayer(),
          .last_layer_flops_per_token = spec.ProjectionFlopsPerToken(),
          .layer_elements_per_token = spec.ElementsPerTokenPerLayer(),
          .embedding_bytes = spec.embedding_bytes,
          .head_bytes = spec.head_bytes,
          .tied_embeddings = spec.tied_embeddings,
          .head_flops_per_token = spec.HeadFlopsPerToken(),
          .kv_elements = spec.kv_elements(),
          .q_width = (spec.q_width() + spec.attended_width()) / 2,
          .hidden_width = spec.hidden_width,
          .kv_in_q8_0 = spec.CheckKvType(KvType::kQ8_0).ok(),
          .kv_heads = spec.n_kv_heads};
}

}  // namespace baton::plan
