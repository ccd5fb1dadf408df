#include "engine/families/llama.h"

#include <cmath>
#include <cstring>

#include "engine/rope.h"

namespace baton::engine {
namespace {

using device::Device;
using device::Rows;

struct LayerWeights {
  Vector attention_norm;
  MatrixPtr q, k, v, output;
  Vector q_bias, k_bias, v_bias, output_bias;
  Vector ffn_norm;
  MatrixPtr gate, up, down;
  Vector gate_bias, up_bias, down_bias;
};

struct LlamaScratch final : Scratch {
  explicit LlamaScratch(const RopeSpec& rope) : angles(rope) {}
  std::unique_ptr<device::Buffer> memory;
  Rows x, q, k, v, attended, gate, up, logits;
  RopeAngles angles;
};

Rows Last(Rows rows, size_t count) {
  return rows.Slice(rows.count - count, count);
}

class Llama final : public ForwardPass {
 public:
  Llama(const ModelSpec& spec, LayerRange layers) : spec_(spec), layers_(layers) {}
  Status Load(WeightLoader& loader);

  uint64_t weight_bytes() const override { return weight_bytes_; }
  Result<std::unique_ptr<Scratch>> NewScratch(Device& device, int rows_max,
                                              int logit_rows_max) const override;
  Result<StageOutput> Run(const PassInput& input, Device& device, CachedAttention& attention,
                          Scratch& scratch) const override;

 private:
  Status LoadEnds(WeightLoader& loader);
  Status LoadLayer(WeightLoader& loader, int layer);
  Status LoadBiases(WeightLoader& loader, int layer, LayerWeights& w);
  void Begin(const PassInput& input, Device& device, Rows x) const;
  size_t RowsNeeded(const PassInput& input, int layer) const;

  const ModelSpec spec_;
  const LayerRange layers_;
  MatrixPtr embedding_;  // with layer 0
  Vector final_norm_;    // with the last layer
  MatrixPtr head_;
  std::vector<LayerWeights> weights_;
  uint64_t weight_bytes_ = 0;
};

Result<StageOutput> Llama::Run(const PassInput& input, Device& device, CachedAttention& attention,
                               Scratch& scratch) const {
  auto& s = static_cast<LlamaScratch&>(scratch);
  const size_t n = input.positions.size();
  const Rows q = s.q.Slice(0, n), k = s.k.Slice(0, n), v = s.v.Slice(0, n);
  Rows x = s.x.Slice(0, n);
  Begin(input, device, x);
  const device::RopeTable angles = {s.angles.At(input.positions), s.angles.pairs(), spec_.head_dim};
  const float q_scale = 1.0f / std::sqrt(static_cast<float>(spec_.head_dim));

  for (int layer = input.layers.first; layer < input.layers.last; ++layer) {
    const LayerWeights& w = weights_[layer - layers_.first];
    device.MatMul(Normed(x, w.attention_norm, spec_.rms_epsilon),
                  {{w.q.get(), q, w.q_bias}, {w.k.get(), k, w.k_bias}, {w.v.get(), v, w.v_bias}});
    device.Rope(q, angles, q_scale);
    device.Rope(k, angles, 1.0f);

    const size_t needed = RowsNeeded(input, layer);
    const Rows attended = s.attended.Slice(0, needed), gate = s.gate.Slice(0, needed),
               up = s.up.Slice(0, needed);
    BATON_RETURN_IF_ERROR(attention.Run(layer, Last(q, needed), k, v, attended));
    x = Last(x, needed);
    device.MatMul(attended, {{w.output.get(), x, w.output_bias, true}});

    device.MatMul(Normed(x, w.ffn_norm, spec_.rms_epsilon),
                  {{w.gate.get(), gate, w.gate_bias}, {w.up.get(), up, w.up_bias}});
    device.MatMul(Gated(gate, up), {{w.down.get(), x, w.down_bias, true}});
  }

  if (input.layers.last < spec_.n_layers) return StageOutput{x.values(), {}};
  if (input.logit_rows == 0) return StageOutput{};
  const Rows logits = s.logits.Slice(0, input.logit_rows);
  device.MatMul(Normed(x, final_norm_, spec_.rms_epsilon), {{head_.get(), logits}});
  return StageOutput{{}, logits.values()};
}

// Rows whose activations anyone reads after `layer`: behind the model's last layer only those that
// are asked for logits.
size_t Llama::RowsNeeded(const PassInput& input, int layer) const {
  return layer + 1 < spec_.n_layers ? input.positions.size() : input.logit_rows;
}

void Llama::Begin(const PassInput& input, Device& device, Rows x) const {
  if (input.layers.first == 0) {
    device.Embed(*embedding_, input.tokens, x);
  } else {
    std::memcpy(x.host(), input.activations.data(), input.activations.size_bytes());
  }
}

Result<std::unique_ptr<Scratch>> Llama::NewScratch(Device& device, int rows_max,
                                                   int logit_rows_max) const {
  auto scratch = std::make_unique<LlamaScratch>(spec_.rope);
  const size_t n = rows_max;
  size_t floats = 0;
  const auto place = [&](size_t rows, int width) {
    const Rows placed = {nullptr, floats, rows, static_cast<size_t>(width)};
    floats += (rows * width + 15) / 16 * 16;
    return placed;
  };
  scratch->x = place(n, spec_.hidden_width);
  scratch->q = place(n, spec_.q_width());
  scratch->k = place(n, spec_.kv_width());
  scratch->v = place(n, spec_.kv_width());
  scratch->attended = place(n, spec_.q_width());
  scratch->gate = place(n, spec_.ffn_width);
  scratch->up = place(n, spec_.ffn_width);
  scratch->logits = place(layers_.last == spec_.n_layers ? logit_rows_max : 0, spec_.vocab_size);
  BATON_ASSIGN_OR_RETURN(scratch->memory, device.Allocate(floats * sizeof(float)));
  for (Rows* rows : {&scratch->x, &scratch->q, &scratch->k, &scratch->v, &scratch->attended,
                     &scratch->gate, &scratch->up, &scratch->logits}) {
    rows->buffer = scratch->memory.get();
  }
  return std::unique_ptr<Scratch>(std::move(scratch));
}

Status Llama::Load(WeightLoader& loader) {
  BATON_RETURN_IF_ERROR(LoadEnds(loader));
  for (int layer = layers_.first; layer < layers_.last; ++layer) {
    BATON_RETURN_IF_ERROR(LoadLayer(loader, layer));
  }
  weight_bytes_ = loader.packed_bytes();
  return OkStatus();
}

Status Llama::LoadEnds(WeightLoader& loader) {
  const bool ends = layers_.last == spec_.n_layers;
  if (layers_.first == 0 || (ends && spec_.tied_embeddings)) {
    BATON_ASSIGN_OR_RETURN(embedding_, loader.LoadMatrix("token_embd.weight"));
  }
  if (!ends) return OkStatus();
  BATON_ASSIGN_OR_RETURN(final_norm_, loader.LoadVector("output_norm.weight"));
  head_ = embedding_;
  if (!spec_.tied_embeddings) {
    BATON_ASSIGN_OR_RETURN(head_, loader.LoadMatrix("output.weight"));
  }
  return OkStatus();
}

Status Llama::LoadLayer(WeightLoader& loader, int layer) {
  LayerWeights w;
  BATON_ASSIGN_OR_RETURN(w.attention_norm, loader.LoadLayerVector(layer, "attn_norm.weight"));
  BATON_ASSIGN_OR_RETURN(w.q, loader.LoadLayerMatrix(layer, "attn_q.weight"));
  BATON_ASSIGN_OR_RETURN(w.k, loader.LoadLayerMatrix(layer, "attn_k.weight"));
  BATON_ASSIGN_OR_RETURN(w.v, loader.LoadLayerMatrix(layer, "attn_v.weight"));
  BATON_ASSIGN_OR_RETURN(w.output, loader.LoadLayerMatrix(layer, "attn_output.weight"));
  BATON_ASSIGN_OR_RETURN(w.ffn_norm, loader.LoadLayerVector(layer, "ffn_norm.weight"));
  BATON_ASSIGN_OR_RETURN(w.gate, loader.LoadLayerMatrix(layer, "ffn_gate.weight"));
  BATON_ASSIGN_OR_RETURN(w.up, loader.LoadLayerMatrix(layer, "ffn_up.weight"));
  BATON_ASSIGN_OR_RETURN(w.down, loader.LoadLayerMatrix(layer, "ffn_down.weight"));
  BATON_RETURN_IF_ERROR(LoadBiases(loader, layer, w));
  weights_.push_back(std::move(w));
  return OkStatus();
}

Status Llama::LoadBiases(WeightLoader& loader, int layer, LayerWeights& w) {
  if (spec_.qkv_bias) {
    BATON_ASSIGN_OR_RETURN(w.q_bias, loader.LoadLayerVector(layer, "attn_q.bias"));
    BATON_ASSIGN_OR_RETURN(w.k_bias, loader.LoadLayerVector(layer, "attn_k.bias"));
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
