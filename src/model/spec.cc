#include "model/spec.h"

#include <numeric>

namespace baton {

namespace {

// Weights that one token is multiplied by for its queries, keys and values.
double ProjectionWeights(const ModelSpec& s) {
  const LatentSpec& latent = s.latent;
  if (latent.kv_rank == 0) return double(s.hidden_width) * (s.q_width() + 2.0 * s.kv_width());
  const double queries = double(s.n_heads) * (latent.unturned + s.rope.dimensions);
  const double made =
      latent.q_rank > 0 ? latent.q_rank * (s.hidden_width + queries) : s.hidden_width * queries;
  return made + double(s.hidden_width) * s.head_dim;
}

// And behind them.
double OutputWeights(const ModelSpec& s) {
  const LatentSpec& latent = s.latent;
  if (latent.kv_rank == 0) return double(s.hidden_width) * s.q_width();
  const double heads = s.n_heads;
  return heads * latent.kv_rank * (latent.unturned + latent.value_dim) +
         heads * latent.value_dim * s.hidden_width;
}

}  // namespace

Status ModelSpec::CheckKvType(KvType type) const {
  BATON_RETURN_IF_ERROR(CheckHeads(type, head_dim));
  return CheckHeads(type, latent.kv_rank);
}

double ModelSpec::FlopsPerTokenPerLayer() const {
  const double hidden = hidden_width;
  const double mixed = hidden * (experts.count + 3.0 * experts.shared_width +
                                 3.0 * experts.used * experts.ffn_width);
  double dense_layers = 0;
  for (int32_t layer = 0; layer < n_layers; ++layer) dense_layers += HasExperts(layer) ? 0 : 1;
  const double share = n_layers == 0 ? 1 : dense_layers / n_layers;
  return 2.0 * (ProjectionWeights(*this) + OutputWeights(*this) + share * 3.0 * hidden * ffn_width +
                (1 - share) * mixed);
}

double ModelSpec::ProjectionFlopsPerToken() const {
  return 2.0 * ProjectionWeights(*this);
}

uint64_t ModelSpec::TotalWeightBytes() const {
  const uint64_t layers =
      std::accumulate(layer_weight_bytes.begin(), layer_weight_bytes.end(), uint64_t{0});
  return layers + embedding_bytes + (tied_embeddings ? head_bytes - embedding_bytes : head_bytes);
}

}  // namespace baton
