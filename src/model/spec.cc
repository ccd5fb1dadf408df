#include "model/spec.h"

#include <numeric>

namespace baton {

double ModelSpec::FlopsPerTokenPerLayer() const {
  const double attention = 2.0 * q_width() + 2.0 * kv_width();  // Q and output, K and V
  if (experts.count == 0) return 2.0 * hidden_width * (attention + 3.0 * ffn_width);
  return 2.0 * hidden_width * (attention + experts.count + 3.0 * experts.used * experts.ffn_width);
}

uint64_t ModelSpec::TotalWeightBytes() const {
  const uint64_t layers =
      std::accumulate(layer_weight_bytes.begin(), layer_weight_bytes.end(), uint64_t{0});
  return layers + embedding_bytes + (tied_embeddings ? head_bytes - embedding_bytes : head_bytes);
}

}  // namespace baton
