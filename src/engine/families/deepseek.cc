#include "engine/families/deepseek.h"

#include "engine/experts.h"
#include "engine/families/ends.h"
#include "engine/rope.h"
#include "engine/row_plan.h"

namespace baton::engine {
namespace {

using device::Device;
using device::Rows;

struct LayerWeights {
  Vector attention_norm;
  MatrixPtr q_a, q;  // q_a where queries are made of fewer elements
  Vector q_a_norm, q_a_bias, latent_bias, key_bias, output_bias;
  MatrixPtr latent, key;
  Vector latent_norm;
  std::vector<MatrixPtr> k_b, v_b;  // per head
  MatrixPtr output;
  Vector ffn_norm;
  MatrixPtr gate, up, down;  // of a dense layer, or of the expert that all tokens share
  ExpertWeights experts;
};

struct DeepSeekScratch final : Scratch {
  explicit DeepSeekScratch(const RopeSpec& rope) : angles(rope) {}
  std::unique_ptr<device::Buffer> memory;
  Rows x, q_a, q, absorbed, latent, key, attended, values;
  Rows gate, up, shared_gate, shared_up, logits;
  ExpertRows experts;
  Routing routing;
  RopeAngles angles;
};

class DeepSeek final : public ForwardPass {
 public:
  DeepSeek(const ModelSpec& spec, LayerRange layers)
      : spec_(spec), layers_(layers), ends_(spec, layers) {}
  Status Load(WeightLoader& loader);

  uint64_t weight_bytes() const override { return weight_bytes_; }
  Result<std::unique_ptr<Scratch>> NewScratch(Device& device, int rows_max,
                                              int logit_rows_max) const override;
  Result<StageOutput> Run(const PassInput& input, Device& device, CachedAttention& attention,
                          Scratch& scratch) const override;

 private:
  Status LoadLayer(WeightLoader& loader, int layer);
  Status LoadAttention(WeightLoader& loader, int layer, LayerWeights& w);
  Status LoadBiases(WeightLoader& loader, int layer, LayerWeights& w);
  Status LoadHeads(WeightLoader& loader, int layer, LayerWeights& w);
  Status LoadFeedForward(WeightLoader& loader, int layer, LayerWeights& w);
  // Of a head's query.
  int query_dim() const { return spec_.latent.unturned + spec_.rope.dimensions; }
  // Of heads of `head_dim` rows, the last of which turn.
  RowOrder TurningLast(int64_t head_dim) const {
    if (!spec_.rope.halves) return {};
    return {head_dim, spec_.rope.dimensions, head_dim - spec_.rope.dimensions};
  }

  const ModelSpec spec_;
  const LayerRange layers_;
  ModelEnds ends_;
  std::vector<LayerWeights> weights_;
  uint64_t weight_bytes_ = 0;
};

// A head's key is W_k times the latent, so a query's product with it is that of W_k^T times the
// query with the latent; and the weighted sum of values W_v times that of latents. So the cache
// holds latents, and the matrices of heads work on queries and on results.
Result<StageOutput> DeepSeek::Run(const PassInput& input, Device& device,
                                  CachedAttention& attention, Scratch& scratch) const {
  auto& s = static_cast<DeepSeekScratch&>(scratch);
  const size_t n = input.positions.size();
  const float epsilon = spec_.rms_epsilon;
  const Rows q_a = s.q_a.Slice(0, n), q = s.q.Slice(0, n), absorbed = s.absorbed.Slice(0, n);
  const Rows latent = s.latent.Slice(0, n), key = s.key.Slice(0, n);
  Rows x = s.x.Slice(0, n);
  ends_.Begin(input, device, x);
  const device::RopeTable of_key = {s.angles.At(input.positions), s.angles.pairs(),
                                    spec_.rope.dimensions};
  const device::RopeTable of_query = {of_key.cos_sin, of_key.pairs, query_dim(),
                                      spec_.latent.unturned};

  for (int layer = input.layers.first; layer < input.layers.last; ++layer) {
    const LayerWeights& w = weights_[layer - layers_.first];
    const device::Input normed = Normed(x, w.attention_norm, epsilon);
    if (w.q_a != nullptr) {
      device.MatMul(normed, {{w.q_a.get(), q_a, w.q_a_bias},
                             {w.latent.get(), latent, w.latent_bias},
                             {w.key.get(), key, w.key_bias}});
      device.MatMul(Normed(q_a, w.q_a_norm, epsilon), {{w.q.get(), q}});
    } else {
      device.MatMul(normed, {{w.q.get(), q},
                             {w.latent.get(), latent, w.latent_bias},
                             {w.key.get(), key, w.key_bias}});
    }
    device.NormHeads(latent, w.latent_norm, epsilon);
    device.Rope(q, of_query, spec_.query_scale);
    device.Rope(key, of_key, 1.0f);

    const size_t needed = ends_.RowsNeeded(input, layer);
    const Rows queries = absorbed.Slice(0, needed), attended = s.attended.Slice(0, needed),
               values = s.values.Slice(0, needed);
    device.MatMulHeads(Last(q, needed), w.k_b, queries);
    BATON_RETURN_IF_ERROR(attention.Run(layer, queries, key, latent, attended));
    device.MatMulHeads(attended, w.v_b, values);
    x = Last(x, needed);
    device.MatMul(values, {{w.output.get(), x, w.output_bias, true}});

    const device::Input ffn_input = Normed(x, w.ffn_norm, epsilon);
    const bool mixed = spec_.HasExperts(layer);
    const Rows gate = (mixed ? s.shared_gate : s.gate).Slice(0, needed);
    const Rows up = (mixed ? s.shared_up : s.up).Slice(0, needed);
    const device::Product of_gate{w.gate.get(), gate}, of_up{w.up.get(), up},
        of_down{w.down.get(), x, {}, true};
    if (!mixed) {
      device.FeedForward(ffn_input, of_gate, of_up, device::Gate::kSilu, of_down);
      continue;
    }
    // What all experts read is read before any of them adds to it.
    if (w.down != nullptr) device.MatMul(ffn_input, {of_gate, of_up});
    RunExperts(spec_.experts, w.experts, ffn_input, s.experts, s.routing, device, x);
    if (w.down != nullptr) device.MatMul(Gated(gate, up), {of_down});
  }

  return ends_.Finish(input, device, x, s.logits);
}

Result<std::unique_ptr<Scratch>> DeepSeek::NewScratch(Device& device, int rows_max,
                                                      int logit_rows_max) const {
  auto scratch = std::make_unique<DeepSeekScratch>(spec_.rope);
  const size_t n = rows_max;
  RowPlan plan;
  plan.Add(scratch->x, n, spec_.hidden_width);
  plan.Add(scratch->q_a, n, spec_.latent.q_rank);
  plan.Add(scratch->q, n, spec_.n_heads * query_dim());
  plan.Add(scratch->absorbed, n, spec_.q_width());
  plan.Add(scratch->latent, n, spec_.latent.kv_rank);
  plan.Add(scratch->key, n, spec_.rope.dimensions);
  plan.Add(scratch->attended, n, spec_.attended_width());
  plan.Add(scratch->values, n, spec_.n_heads * spec_.latent.value_dim);
  plan.Add(scratch->gate, n, spec_.ffn_width);
  plan.Add(scratch->up, n, spec_.ffn_width);
  plan.Add(scratch->shared_gate, n, spec_.experts.shared_width);
  plan.Add(scratch->shared_up, n, spec_.experts.shared_width);
  PlanExpertRows(spec_, n, scratch->experts, plan);
  plan.Add(scratch->logits, ends_.LogitRows(logit_rows_max), spec_.vocab_size);
  BATON_ASSIGN_OR_RETURN(scratch->memory, plan.Allocate(device));
  return std::unique_ptr<Scratch>(std::move(scratch));
}

Status DeepSeek::Load(WeightLoader& loader) {
  BATON_RETURN_IF_ERROR(ends_.Load(loader));
  for (int layer = layers_.first; layer < layers_.last; ++layer) {
    BATON_RETURN_IF_ERROR(LoadLayer(loader, layer));
  }
  weight_bytes_ = loader.packed_bytes();
  return OkStatus();
}

Status DeepSeek::LoadLayer(WeightLoader& loader, int layer) {
  LayerWeights w;
  BATON_RETURN_IF_ERROR(LoadAttention(loader, layer, w));
  BATON_RETURN_IF_ERROR(LoadHeads(loader, layer, w));
  BATON_RETURN_IF_ERROR(LoadFeedForward(loader, layer, w));
  weights_.push_back(std::move(w));
  return OkStatus();
}

Status DeepSeek::LoadAttention(WeightLoader& loader, int layer, LayerWeights& w) {
  BATON_ASSIGN_OR_RETURN(w.attention_norm, loader.LoadLayerVector(layer, "attn_norm.weight"));
  if (spec_.latent.q_rank > 0) {
    BATON_ASSIGN_OR_RETURN(w.q_a, loader.LoadLayerMatrix(layer, "attn_q_a.weight"));
    BATON_ASSIGN_OR_RETURN(w.q_a_norm, loader.LoadLayerVector(layer, "attn_q_a_norm.weight"));
    BATON_ASSIGN_OR_RETURN(
        w.q, loader.LoadLayerMatrix(layer, "attn_q_b.weight", TurningLast(query_dim())));
  } else {
    BATON_ASSIGN_OR_RETURN(
        w.q, loader.LoadLayerMatrix(layer, "attn_q.weight", TurningLast(query_dim())));
  }
  constexpr std::string_view kCached = "attn_kv_a_mqa.weight";
  const int64_t rank = spec_.latent.kv_rank;
  BATON_ASSIGN_OR_RETURN(w.latent, loader.LoadLayerRows(layer, kCached, 0, rank));
  BATON_ASSIGN_OR_RETURN(w.key, loader.LoadLayerRows(layer, kCached, rank, spec_.rope.dimensions,
                                                     TurningLast(spec_.head_dim)));
  BATON_ASSIGN_OR_RETURN(w.latent_norm, loader.LoadLayerVector(layer, "attn_kv_a_norm.weight"));
  BATON_ASSIGN_OR_RETURN(w.output, loader.LoadLayerMatrix(layer, "attn_output.weight"));
  BATON_ASSIGN_OR_RETURN(w.ffn_norm, loader.LoadLayerVector(layer, "ffn_norm.weight"));
  return spec_.qkv_bias ? LoadBiases(loader, layer, w) : OkStatus();
}

Status DeepSeek::LoadBiases(WeightLoader& loader, int layer, LayerWeights& w) {
  if (spec_.latent.q_rank > 0) {
    BATON_ASSIGN_OR_RETURN(w.q_a_bias, loader.LoadLayerVector(layer, "attn_q_a.bias"));
  }
  BATON_ASSIGN_OR_RETURN(w.latent_bias, loader.LoadLayerVector(layer, "attn_kv_a_mqa.bias",
                                                               TurningLast(spec_.head_dim)));
  const auto keys = w.latent_bias.begin() + spec_.latent.kv_rank;
  w.key_bias.assign(keys, w.latent_bias.end());
  w.latent_bias.erase(keys, w.latent_bias.end());
  BATON_ASSIGN_OR_RETURN(w.output_bias, loader.LoadLayerVector(layer, "attn_output.bias"));
  return OkStatus();
}

// attn_kv_b holds, head after head, the rows that make its key and those that make its value; the
// former work on queries, turned over.
Status DeepSeek::LoadHeads(WeightLoader& loader, int layer, LayerWeights& w) {
  if (spec_.latent.split_heads) {
    BATON_ASSIGN_OR_RETURN(w.k_b, loader.LoadLayerExperts(layer, "attn_k_b.weight"));
    BATON_ASSIGN_OR_RETURN(w.v_b, loader.LoadLayerExperts(layer, "attn_v_b.weight"));
    return OkStatus();
  }
  constexpr std::string_view kBoth = "attn_kv_b.weight";
  const int64_t keys = spec_.latent.unturned, values = spec_.latent.value_dim;
  for (int64_t head = 0; head < spec_.n_heads; ++head) {
    const int64_t first = head * (keys + values);
    BATON_ASSIGN_OR_RETURN(MatrixPtr k, loader.LoadLayerColumns(layer, kBoth, first, keys));
    BATON_ASSIGN_OR_RETURN(MatrixPtr v, loader.LoadLayerRows(layer, kBoth, first + keys, values));
    w.k_b.push_back(std::move(k));
    w.v_b.push_back(std::move(v));
  }
  return OkStatus();
}

Status DeepSeek::LoadFeedForward(WeightLoader& loader, int layer, LayerWeights& w) {
  const bool mixed = spec_.HasExperts(layer);
  if (mixed) {
    BATON_ASSIGN_OR_RETURN(w.experts, LoadExperts(spec_.experts, loader, layer));
    if (spec_.experts.shared_width == 0) return OkStatus();
  }
  const auto load = [&](MatrixPtr& into, std::string_view part) -> Status {
    BATON_ASSIGN_OR_RETURN(into, loader.LoadLayerMatrix(layer, fmt::format("ffn_{}{}.weight", part,
                                                                           mixed ? "_shexp" : "")));
    return OkStatus();
  };
  BATON_RETURN_IF_ERROR(load(w.gate, "gate"));
  BATON_RETURN_IF_ERROR(load(w.up, "up"));
  return load(w.down, "down");
}

}  // namespace

Result<std::unique_ptr<ForwardPass>> LoadDeepSeek(const ModelSpec& spec, LayerRange layers,
                                                  WeightLoader& loader) {
  auto deep_seek = std::make_unique<DeepSeek>(spec, layers);
  BATON_RETURN_IF_ERROR(deep_seek->Load(loader));
  return std::unique_ptr<ForwardPass>(std::move(deep_seek));
}

}  // namespace baton::engine
