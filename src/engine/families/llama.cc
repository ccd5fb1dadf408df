#include "engine/families/llama.h"

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
  MatrixPtr q, k, v, output;
  Vector q_bias, k_bias, v_bias, output_bias;
  Vector q_norm, k_norm;
  Vector ffn_norm;
  MatrixPtr gate, up, down;
  ExpertWeights experts;  // instead of gate, up and down
  Vector gate_bias, up_bias, down_bias;
};

struct LlamaScratch final : Scratch {
  explicit LlamaScratch(const ModelSpec& spec)
      : angles(spec.rope), query_angles(spec.rope, spec.query_growth) {}
  std::unique_ptr<device::Buffer> memory;
  Rows x, q, k, v, attended, gate, up, logits;
  ExpertRows experts;
  Routing routing;
  RopeAngles angles, query_angles;
};

class Llama final : public ForwardPass {
 public:
  Llama(const ModelSpec& spec, LayerRange layers)
      : spec_(spec), layers_(layers), ends_(spec, layers) {}
  Status Load(WeightLoader& loader);

  uint64_t weight_bytes() const override { return weight_bytes_; }
  Result<std::unique_ptr<Scratch>> NewScratch(Device& device, int rows_max,
                                              int logit_rows_max) const override;
  Result<StageOutput> Run(const PassInput& input, Device& device, CachedAttention& attention,
                          Scratch& scratch) const override;

 private:
  Status LoadLayer(WeightLoader& loader, int layer);
  Status LoadQkv(WeightLoader& loader, int layer, LayerWeights& w);
  Status LoadFeedForward(WeightLoader& loader, int layer, LayerWeights& w);
  Status LoadVectors(WeightLoader& loader, int layer, LayerWeights& w);

  const ModelSpec spec_;
  const LayerRange layers_;
  ModelEnds ends_;
  std::vector<LayerWeights> weights_;
  uint64_t weight_bytes_ = 0;
};

Result<StageOutput> Llama::Run(const PassInput& input, Device& device, CachedAttention& attention,
                               Scratch& scratch) const {
  auto& s = static_cast<LlamaScratch&>(scratch);
  const size_t n = input.positions.size();
  const Rows q = s.q.Slice(0, n), k = s.k.Slice(0, n), v = s.v.Slice(0, n);
  Rows x = s.x.Slice(0, n);
  ends_.Begin(input, device, x);
  const device::RopeTable angles = {s.angles.At(input.positions, input.turns_long),
                                    s.angles.pairs(), spec_.head_dim};
  device::RopeTable of_queries = angles;
  if (spec_.query_growth.factor != 0)
    of_queries.cos_sin = s.query_angles.At(input.positions, input.turns_long);

  for (int layer = input.layers.first; layer < input.layers.last; ++layer) {
    const LayerWeights& w = weights_[layer - layers_.first];
    device.MatMul(Normed(x, w.attention_norm, spec_.rms_epsilon),
                  {{w.q.get(), q, w.q_bias}, {w.k.get(), k, w.k_bias}, {w.v.get(), v, w.v_bias}});
    if (spec_.qk_norm) {
      device.NormHeads(q, w.q_norm, spec_.rms_epsilon);
      device.NormHeads(k, w.k_norm, spec_.rms_epsilon);
    }
    device.Rope(q, of_queries, spec_.query_scale);
    device.Rope(k, angles, 1.0f);

    const size_t needed = ends_.RowsNeeded(input, layer);
    const Rows attended = s.attended.Slice(0, needed);
    BATON_RETURN_IF_ERROR(
        attention.Run(layer, Last(q, needed), k, v, attended, {.window = spec_.WindowOf(layer)}));
    x = Last(x, needed);
    device.MatMul(attended, {{w.output.get(), x, w.output_bias, true}});

    const device::Input normed = Normed(x, w.ffn_norm, spec_.rms_epsilon);
    if (spec_.HasExperts(layer)) {
      RunExperts(spec_.experts, w.experts, normed, s.experts, s.routing, device, x);
      continue;
    }
    const Rows gate = s.gate.Slice(0, needed), up = s.up.Slice(0, needed);
    device.FeedForward(normed, {w.gate.get(), gate, w.gate_bias}, {w.up.get(), up, w.up_bias},
                       device::Gate::kSilu, {w.down.get(), x, w.down_bias, true});
  }

  return ends_.Finish(input, device, x, s.logits);
}

Result<std::unique_ptr<Scratch>> Llama::NewScratch(Device& device, int rows_max,
                                                   int logit_rows_max) const {
  auto scratch = std::make_unique<LlamaScratch>(spec_);
  const size_t n = rows_max;
  RowPlan plan;
  plan.Add(scratch->x, n, spec_.hidden_width);
  plan.Add(scratch->q, n, spec_.q_width());
  plan.Add(scratch->k, n, spec_.kv_width());
  plan.Add(scratch->v, n, spec_.kv_width());
  plan.Add(scratch->attended, n, spec_.q_width());
  if (spec_.experts.count > 0) PlanExpertRows(spec_, n, scratch->experts, plan);
  const bool dense = spec_.experts.count == 0 || !spec_.experts.in_layer.empty();
  plan.Add(scratch->gate, dense ? n : 0, spec_.ffn_width);
  plan.Add(scratch->up, dense ? n : 0, spec_.ffn_width);
  plan.Add(scratch->logits, ends_.LogitRows(logit_rows_max), spec_.vocab_size);
  BATON_ASSIGN_OR_RETURN(scratch->memory, plan.Allocate(device));
  return std::unique_ptr<Scratch>(std::move(scratch));
}

Status Llama::Load(WeightLoader& loader) {
  BATON_RETURN_IF_ERROR(ends_.Load(loader));
  for (int layer = layers_.first; layer < layers_.last; ++layer) {
    BATON_RETURN_IF_ERROR(LoadLayer(loader, layer));
  }
  weight_bytes_ = loader.packed_bytes();
  return OkStatus();
}

Status Llama::LoadLayer(WeightLoader& loader, int layer) {
  LayerWeights w;
  BATON_ASSIGN_OR_RETURN(w.attention_norm, loader.LoadLayerVector(layer, "attn_norm.weight"));
  BATON_RETURN_IF_ERROR(LoadQkv(loader, layer, w));
  BATON_ASSIGN_OR_RETURN(w.output, loader.LoadLayerMatrix(layer, "attn_output.weight"));
  BATON_ASSIGN_OR_RETURN(w.ffn_norm, loader.LoadLayerVector(layer, "ffn_norm.weight"));
  BATON_RETURN_IF_ERROR(LoadFeedForward(loader, layer, w));
  BATON_RETURN_IF_ERROR(LoadVectors(loader, layer, w));
  weights_.push_back(std::move(w));
  return OkStatus();
}

Status Llama::LoadQkv(WeightLoader& loader, int layer, LayerWeights& w) {
  const RowOrder turning = TurningOrder(spec_);
  if (spec_.fused_qkv) {
    const int64_t q = spec_.q_width(), kv = spec_.kv_width();
    constexpr std::string_view kName = "attn_qkv.weight";
    BATON_ASSIGN_OR_RETURN(w.q, loader.LoadLayerRows(layer, kName, 0, q, turning));
    BATON_ASSIGN_OR_RETURN(w.k, loader.LoadLayerRows(layer, kName, q, kv, turning));
    BATON_ASSIGN_OR_RETURN(w.v, loader.LoadLayerRows(layer, kName, q + kv, kv));
    return OkStatus();
  }
  BATON_ASSIGN_OR_RETURN(w.q, loader.LoadLayerMatrix(layer, "attn_q.weight", turning));
  BATON_ASSIGN_OR_RETURN(w.k, loader.LoadLayerMatrix(layer, "attn_k.weight", turning));
  BATON_ASSIGN_OR_RETURN(w.v, loader.LoadLayerMatrix(layer, "attn_v.weight"));
  return OkStatus();
}

Status Llama::LoadFeedForward(WeightLoader& loader, int layer, LayerWeights& w) {
  if (spec_.HasExperts(layer)) {
    BATON_ASSIGN_OR_RETURN(w.experts, LoadExperts(spec_.experts, loader, layer));
    return OkStatus();
  }
  BATON_ASSIGN_OR_RETURN(w.down, loader.LoadLayerMatrix(layer, "ffn_down.weight"));
  if (spec_.fused_gate_up) {
    const int64_t width = spec_.ffn_width;
    BATON_ASSIGN_OR_RETURN(w.gate, loader.LoadLayerRows(layer, "ffn_up.weight", 0, width));
    BATON_ASSIGN_OR_RETURN(w.up, loader.LoadLayerRows(layer, "ffn_up.weight", width, width));
    return OkStatus();
  }
  BATON_ASSIGN_OR_RETURN(w.gate, loader.LoadLayerMatrix(layer, "ffn_gate.weight"));
  BATON_ASSIGN_OR_RETURN(w.up, loader.LoadLayerMatrix(layer, "ffn_up.weight"));
  return OkStatus();
}

Status Llama::LoadVectors(WeightLoader& loader, int layer, LayerWeights& w) {
  const RowOrder turning = TurningOrder(spec_);
  if (spec_.qk_norm) {
    BATON_ASSIGN_OR_RETURN(w.q_norm, loader.LoadLayerVector(layer, "attn_q_norm.weight", turning));
    BATON_ASSIGN_OR_RETURN(w.k_norm, loader.LoadLayerVector(layer, "attn_k_norm.weight", turning));
  }
  if (spec_.qkv_bias) {
    BATON_ASSIGN_OR_RETURN(w.q_bias, loader.LoadLayerVector(layer, "attn_q.bias", turning));
    BATON_ASSIGN_OR_RETURN(w.k_bias, loader.LoadLayerVector(layer, "attn_k.bias", turning));
    BATON_ASSIGN_OR_RETURN(w.v_bias, loader.LoadLayerVector(layer, "attn_v.bias"));
  }
  if (spec_.attention_output_bias) {
    BATON_ASSIGN_OR_RETURN(w.output_bias, loader.LoadLayerVector(layer, "attn_output.bias"));
  }
  if (spec_.ffn_bias) {
    BATON_ASSIGN_OR_RETURN(w.gate_bias, loader.LoadLayerVector(layer, "ffn_gate.bias"));
    BATON_ASSIGN_OR_RETURN(w.up_bias, loader.LoadLayerVector(layer, "ffn_up.bias"));
    BATON_ASSIGN_OR_RETURN(w.down_bias, loader.LoadLayerVector(layer, "ffn_down.bias"));
  }
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<ForwardPass>> LoadLlama(const ModelSpec& spec, LayerRange layers,
                                               WeightLoader& loader) {
  auto llama = std::make_unique<Llama>(spec, layers);
  BATON_RETURN_IF_ERROR(llama->Load(loader));
  return std::unique_ptr<ForwardPass>(std::move(llama));
}

}  // namespace baton::engine
