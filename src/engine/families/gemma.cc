#include "engine/families/gemma.h"

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
  Vector q_norm, k_norm;  // Gemma 3
  Vector after_attention_norm;
  Vector ffn_norm;
  MatrixPtr gate, up, down;
  Vector after_ffn_norm;
};

struct GemmaScratch final : Scratch {
  explicit GemmaScratch(const ModelSpec& spec)
      : angles(spec.rope), window_angles(spec.window_rope.value_or(spec.rope)) {}
  std::unique_ptr<device::Buffer> memory;
  Rows x, q, k, v, attended, branch, gate, up, logits;
  RopeAngles angles;
  RopeAngles window_angles;
};

class Gemma final : public ForwardPass {
 public:
  Gemma(const ModelSpec& spec, LayerRange layers)
      : spec_(spec), layers_(layers), ends_(spec, layers) {}
  Status Load(WeightLoader& loader);

  uint64_t weight_bytes() const override { return weight_bytes_; }
  Result<std::unique_ptr<Scratch>> NewScratch(Device& device, int rows_max,
                                              int logit_rows_max) const override;
  Result<StageOutput> Run(const PassInput& input, Device& device, CachedAttention& attention,
                          Scratch& scratch) const override;

 private:
  Status LoadLayer(WeightLoader& loader, int layer);

  const ModelSpec spec_;
  const LayerRange layers_;
  ModelEnds ends_;
  std::vector<LayerWeights> weights_;
  uint64_t weight_bytes_ = 0;
};

Result<StageOutput> Gemma::Run(const PassInput& input, Device& device, CachedAttention& attention,
                               Scratch& scratch) const {
  auto& s = static_cast<GemmaScratch&>(scratch);
  const size_t n = input.positions.size();
  const float epsilon = spec_.rms_epsilon;
  const Rows q = s.q.Slice(0, n), k = s.k.Slice(0, n), v = s.v.Slice(0, n);
  Rows x = s.x.Slice(0, n);
  ends_.Begin(input, device, x);
  const device::RopeTable wide = {s.angles.At(input.positions), s.angles.pairs(), spec_.head_dim};
  const device::RopeTable narrow = {s.window_angles.At(input.positions), s.window_angles.pairs(),
                                    spec_.head_dim};

  for (int layer = input.layers.first; layer < input.layers.last; ++layer) {
    const LayerWeights& w = weights_[layer - layers_.first];
    device.MatMul(Normed(x, w.attention_norm, epsilon),
                  {{w.q.get(), q, w.q_bias}, {w.k.get(), k, w.k_bias}, {w.v.get(), v, w.v_bias}});
    if (spec_.qk_norm) {
      device.NormHeads(q, w.q_norm, epsilon);
      device.NormHeads(k, w.k_norm, epsilon);
    }
    const device::RopeTable& angles = spec_.IsWindowed(layer) ? narrow : wide;
    device.Rope(q, angles, spec_.query_scale);
    device.Rope(k, angles, 1.0f);

    const size_t needed = ends_.RowsNeeded(input, layer);
    const Rows attended = s.attended.Slice(0, needed);
    const Rows branch = s.branch.Slice(0, needed);
    BATON_RETURN_IF_ERROR(
        attention.Run(layer, Last(q, needed), k, v, attended,
                      {.window = spec_.WindowOf(layer), .softcap = spec_.attention_softcap}));
    x = Last(x, needed);
    device.MatMul(attended, {{w.output.get(), branch, w.output_bias}});
    device.AddNormed(branch, w.after_attention_norm, epsilon, x);

    const Rows gate = s.gate.Slice(0, needed), up = s.up.Slice(0, needed);
    device.FeedForward(Normed(x, w.ffn_norm, epsilon), {w.gate.get(), gate}, {w.up.get(), up},
                       device::Gate::kGelu, {w.down.get(), branch});
    device.AddNormed(branch, w.after_ffn_norm, epsilon, x);
  }

  return ends_.Finish(input, device, x, s.logits);
}

Result<std::unique_ptr<Scratch>> Gemma::NewScratch(Device& device, int rows_max,
                                                   int logit_rows_max) const {
  auto scratch = std::make_unique<GemmaScratch>(spec_);
  const size_t n = rows_max;
  RowPlan plan;
  plan.Add(scratch->x, n, spec_.hidden_width);
  plan.Add(scratch->q, n, spec_.q_width());
  plan.Add(scratch->k, n, spec_.kv_width());
  plan.Add(scratch->v, n, spec_.kv_width());
  plan.Add(scratch->attended, n, spec_.q_width());
  plan.Add(scratch->branch, n, spec_.hidden_width);
  plan.Add(scratch->gate, n, spec_.ffn_width);
  plan.Add(scratch->up, n, spec_.ffn_width);
  plan.Add(scratch->logits, ends_.LogitRows(logit_rows_max), spec_.vocab_size);
  BATON_ASSIGN_OR_RETURN(scratch->memory, plan.Allocate(device));
  return std::unique_ptr<Scratch>(std::move(scratch));
}

Status Gemma::Load(WeightLoader& loader) {
  BATON_RETURN_IF_ERROR(ends_.Load(loader));
  for (int layer = layers_.first; layer < layers_.last; ++layer) {
    BATON_RETURN_IF_ERROR(LoadLayer(loader, layer));
  }
  weight_bytes_ = loader.packed_bytes();
  return OkStatus();
}

Status Gemma::LoadLayer(WeightLoader& loader, int layer) {
  const RowOrder turning = TurningOrder(spec_);
  const auto matrix = [&](MatrixPtr& into, std::string_view name, RowOrder order = {}) -> Status {
    BATON_ASSIGN_OR_RETURN(into, loader.LoadLayerMatrix(layer, name, order));
    return OkStatus();
  };
  const auto vector = [&](Vector& into, std::string_view name, RowOrder order = {}) -> Status {
    BATON_ASSIGN_OR_RETURN(into, loader.LoadLayerVector(layer, name, order));
    return OkStatus();
  };
  LayerWeights w;
  BATON_RETURN_IF_ERROR(vector(w.attention_norm, "attn_norm.weight"));
  BATON_RETURN_IF_ERROR(matrix(w.q, "attn_q.weight", turning));
  BATON_RETURN_IF_ERROR(matrix(w.k, "attn_k.weight", turning));
  BATON_RETURN_IF_ERROR(matrix(w.v, "attn_v.weight"));
  if (spec_.qk_norm) {
    BATON_RETURN_IF_ERROR(vector(w.q_norm, "attn_q_norm.weight", turning));
    BATON_RETURN_IF_ERROR(vector(w.k_norm, "attn_k_norm.weight", turning));
  }
  if (spec_.qkv_bias) {
    BATON_RETURN_IF_ERROR(vector(w.q_bias, "attn_q.bias", turning));
    BATON_RETURN_IF_ERROR(vector(w.k_bias, "attn_k.bias", turning));
    BATON_RETURN_IF_ERROR(vector(w.v_bias, "attn_v.bias"));
  }
  if (spec_.attention_output_bias) BATON_RETURN_IF_ERROR(vector(w.output_bias, "attn_output.bias"));
  BATON_RETURN_IF_ERROR(matrix(w.output, "attn_output.weight"));
  BATON_RETURN_IF_ERROR(vector(w.after_attention_norm, "post_attention_norm.weight"));
  BATON_RETURN_IF_ERROR(vector(w.ffn_norm, "ffn_norm.weight"));
  BATON_RETURN_IF_ERROR(matrix(w.gate, "ffn_gate.weight"));
  BATON_RETURN_IF_ERROR(matrix(w.up, "ffn_up.weight"));
  BATON_RETURN_IF_ERROR(matrix(w.down, "ffn_down.weight"));
  BATON_RETURN_IF_ERROR(vector(w.after_ffn_norm, "post_ffw_norm.weight"));
  weights_.push_back(std::move(w));
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<ForwardPass>> LoadGemma(const ModelSpec& spec, LayerRange layers,
                                               WeightLoader& loader) {
  auto gemma = std::make_unique<Gemma>(spec, layers);
  BATON_RETURN_IF_ERROR(gemma->Load(loader));
  return std::unique_ptr<ForwardPass>(std::move(gemma));
}

}  // namespace baton::engine
