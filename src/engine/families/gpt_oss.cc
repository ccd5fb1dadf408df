#include "engine/families/gpt_oss.h"

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
  Vector sinks;
  Vector ffn_norm;
  ExpertWeights experts;
};

struct GptOssScratch final : Scratch {
  explicit GptOssScratch(const RopeSpec& rope) : angles(rope) {}
  std::unique_ptr<device::Buffer> memory;
  Rows x, q, k, v, attended, logits;
  ExpertRows experts;
  Routing routing;
  RopeAngles angles;
};

class GptOss final : public ForwardPass {
 public:
  GptOss(const ModelSpec& spec, LayerRange layers)
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
  Status LoadExpertBiases(WeightLoader& loader, int layer, ExpertWeights& experts);

  const ModelSpec spec_;
  const LayerRange layers_;
  ModelEnds ends_;
  std::vector<LayerWeights> weights_;
  uint64_t weight_bytes_ = 0;
};

Result<StageOutput> GptOss::Run(const PassInput& input, Device& device, CachedAttention& attention,
                                Scratch& scratch) const {
  auto& s = static_cast<GptOssScratch&>(scratch);
  const size_t n = input.positions.size();
  const Rows q = s.q.Slice(0, n), k = s.k.Slice(0, n), v = s.v.Slice(0, n);
  Rows x = s.x.Slice(0, n);
  ends_.Begin(input, device, x);
  const device::RopeTable angles = {s.angles.At(input.positions), s.angles.pairs(), spec_.head_dim};

  for (int layer = input.layers.first; layer < input.layers.last; ++layer) {
    const LayerWeights& w = weights_[layer - layers_.first];
    device.MatMul(Normed(x, w.attention_norm, spec_.rms_epsilon),
                  {{w.q.get(), q, w.q_bias}, {w.k.get(), k, w.k_bias}, {w.v.get(), v, w.v_bias}});
    device.Rope(q, angles, spec_.query_scale);
    device.Rope(k, angles, 1.0f);

    const size_t needed = ends_.RowsNeeded(input, layer);
    const Rows attended = s.attended.Slice(0, needed);
    BATON_RETURN_IF_ERROR(attention.Run(layer, Last(q, needed), k, v, attended,
                                        {.window = spec_.WindowOf(layer), .sinks = w.sinks}));
    x = Last(x, needed);
    device.MatMul(attended, {{w.output.get(), x, w.output_bias, true}});
    RunExperts(spec_.experts, w.experts, Normed(x, w.ffn_norm, spec_.rms_epsilon), s.experts,
               s.routing, device, x);
  }

  return ends_.Finish(input, device, x, s.logits);
}

Result<std::unique_ptr<Scratch>> GptOss::NewScratch(Device& device, int rows_max,
                                                    int logit_rows_max) const {
  auto scratch = std::make_unique<GptOssScratch>(spec_.rope);
  const size_t n = rows_max;
  RowPlan plan;
  plan.Add(scratch->x, n, spec_.hidden_width);
  plan.Add(scratch->q, n, spec_.q_width());
  plan.Add(scratch->k, n, spec_.kv_width());
  plan.Add(scratch->v, n, spec_.kv_width());
  plan.Add(scratch->attended, n, spec_.q_width());
  PlanExpertRows(spec_, n, scratch->experts, plan);
  plan.Add(scratch->logits, ends_.LogitRows(logit_rows_max), spec_.vocab_size);
  BATON_ASSIGN_OR_RETURN(scratch->memory, plan.Allocate(device));
  return std::unique_ptr<Scratch>(std::move(scratch));
}

Status GptOss::Load(WeightLoader& loader) {
  BATON_RETURN_IF_ERROR(ends_.Load(loader));
  for (int layer = layers_.first; layer < layers_.last; ++layer) {
    BATON_RETURN_IF_ERROR(LoadLayer(loader, layer));
  }
  weight_bytes_ = loader.packed_bytes();
  return OkStatus();
}

Status GptOss::LoadLayer(WeightLoader& loader, int layer) {
  LayerWeights w;
  BATON_RETURN_IF_ERROR(LoadAttention(loader, layer, w));
  BATON_ASSIGN_OR_RETURN(w.ffn_norm, loader.LoadLayerVector(layer, "post_attention_norm.weight"));
  BATON_ASSIGN_OR_RETURN(w.experts, LoadExperts(spec_.experts, loader, layer));
  BATON_RETURN_IF_ERROR(LoadExpertBiases(loader, layer, w.experts));
  w.experts.kind = device::Gate::kClampedSwiglu;
  weights_.push_back(std::move(w));
  return OkStatus();
}

Status GptOss::LoadAttention(WeightLoader& loader, int layer, LayerWeights& w) {
  const RowOrder turning = TurningOrder(spec_);
  BATON_ASSIGN_OR_RETURN(w.attention_norm, loader.LoadLayerVector(layer, "attn_norm.weight"));
  BATON_ASSIGN_OR_RETURN(w.q, loader.LoadLayerMatrix(layer, "attn_q.weight", turning));
  BATON_ASSIGN_OR_RETURN(w.k, loader.LoadLayerMatrix(layer, "attn_k.weight", turning));
  BATON_ASSIGN_OR_RETURN(w.v, loader.LoadLayerMatrix(layer, "attn_v.weight"));
  BATON_ASSIGN_OR_RETURN(w.output, loader.LoadLayerMatrix(layer, "attn_output.weight"));
  if (spec_.qkv_bias) {
    BATON_ASSIGN_OR_RETURN(w.q_bias, loader.LoadLayerVector(layer, "attn_q.bias", turning));
    BATON_ASSIGN_OR_RETURN(w.k_bias, loader.LoadLayerVector(layer, "attn_k.bias", turning));
    BATON_ASSIGN_OR_RETURN(w.v_bias, loader.LoadLayerVector(layer, "attn_v.bias"));
  }
  if (spec_.attention_output_bias) {
    BATON_ASSIGN_OR_RETURN(w.output_bias, loader.LoadLayerVector(layer, "attn_output.bias"));
  }
  BATON_ASSIGN_OR_RETURN(w.sinks, loader.LoadLayerVector(layer, "attn_sinks.weight"));
  return OkStatus();
}

Status GptOss::LoadExpertBiases(WeightLoader& loader, int layer, ExpertWeights& experts) {
  BATON_ASSIGN_OR_RETURN(experts.router_bias, loader.LoadLayerVector(layer, "ffn_gate_inp.bias"));
  BATON_ASSIGN_OR_RETURN(experts.gate_bias, loader.LoadLayerVector(layer, "ffn_gate_exps.bias"));
  BATON_ASSIGN_OR_RETURN(experts.up_bias, loader.LoadLayerVector(layer, "ffn_up_exps.bias"));
  BATON_ASSIGN_OR_RETURN(experts.down_bias, loader.LoadLayerVector(layer, "ffn_down_exps.bias"));
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<ForwardPass>> LoadGptOss(const ModelSpec& spec, LayerRange layers,
                                                WeightLoader& loader) {
  auto gpt_oss = std::make_unique<GptOss>(spec, layers);
  BATON_RETURN_IF_ERROR(gpt_oss->Load(loader));
  return std::unique_ptr<ForwardPass>(std::move(gpt_oss));
}

}  // namespace baton::engine
