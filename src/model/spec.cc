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

// Elements of one token that its projections and attention pass over: inputs of products, heads
// that are normed and turned, and what is cached.
double AttentionElements(const ModelSpec& s) {
  const LatentSpec& latent = s.latent;
  const double ends = double(s.hidden_width) + s.attended_width() + s.kv_elements();
  if (latent.kv_rank == 0) {
    const double heads = double(s.q_width()) + s.kv_width();
    return ends + heads * (s.qk_norm ? 2 : 1);
  }
  // Queries are turned and brought to the latent's side, values brought back.
  const double queries = double(s.n_heads) * (latent.unturned + s.rope.dimensions);
  return ends + latent.q_rank + 2 * queries + s.kv_width() + double(s.n_heads) * latent.value_dim;
}

// The same of experts: the router and they take a row each, which is copied to those chosen.
double ExpertElements(const ModelSpec& s) {
  const double hidden = s.hidden_width;
  return 2 * hidden + s.experts.used * (2 * hidden + s.experts.ffn_width) + s.experts.shared_width;
}

double ShareOfDenseLayers(const ModelSpec& s) {
  double dense = 0;
  for (int32_t layer = 0; layer < s.n_layers; ++layer) dense += s.HasExperts(layer) ? 0 : 1;
  return s.n_layers == 0 ? 1 : dense / s.n_layers;
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
  const double share = ShareOfDenseLayers(*this);
  return 2.0 * (ProjectionWeights(*this) + OutputWeights(*this) + share * 3.0 * hidden * ffn_width +
                (1 - share) * mixed);
}

double ModelSpec::ProjectionFlopsPerToken() const {
  return 2.0 * ProjectionWeights(*this);
}

double ModelSpec::ElementsPerTokenPerLayer() const {
  const double share = ShareOfDenseLayers(*this);
  const double dense = double(hidden_width) + ffn_width;
  // Gemma norms what comes of attention and of the feed-forward as well.
  const double behind = family == Family::kGemma ? 2.0 * hidden_width : 0;
  return AttentionElements(*this) + behind + share * dense + (1 - share) * ExpertElements(*this);
}

uint64_t ModelSpec::TotalWeightBytes() const {
  const uint64_t layers =
      std::accumulate(layer_weight_bytes.begin(), layer_weight_bytes.end(), uint64_t{0});
  return layers + embedding_bytes + (tied_embeddings ? head_bytes - embedding_bytes : head_bytes);
}

}  // namespace baton
