#include "model/family/gemma.h"

#include <cmath>

#include "model/family/spec_builder.h"

namespace baton {
namespace {

LayerTensors TensorsOf(const ModelSpec& s, int) {
  const int64_t q = s.q_width();
  const int64_t kv = s.kv_width();
  LayerTensors tensors = {{"attn_norm.weight", s.hidden_width},
                          {"attn_q.weight", s.hidden_width, q},
                          {"attn_k.weight", s.hidden_width, kv},
                          {"attn_v.weight", s.hidden_width, kv},
                          {"attn_output.weight", q, s.hidden_width},
                          {"post_attention_norm.weight", s.hidden_width},
                          {"ffn_norm.weight", s.hidden_width},
                          {"ffn_gate.weight", s.hidden_width, s.ffn_width},
                          {"ffn_up.weight", s.hidden_width, s.ffn_width},
                          {"ffn_down.weight", s.ffn_width, s.hidden_width},
                          {"post_ffw_norm.weight", s.hidden_width}};
  if (s.qk_norm) {
    tensors.push_back({"attn_q_norm.weight", s.head_dim});
    tensors.push_back({"attn_k_norm.weight", s.head_dim});
  }
  if (s.qkv_bias)
    tensors.insert(tensors.end(), {{"attn_q.bias", q}, {"attn_k.bias", kv}, {"attn_v.bias", kv}});
  if (s.attention_output_bias) tensors.push_back({"attn_output.bias", s.hidden_width});
  return tensors;
}

// Files seldom say what queries are scaled by: 1 / sqrt(head dimension), but for the 27b models of
// both generations, which share the hidden width among their heads.
Status ReadQueryScale(SpecBuilder& builder, int32_t layers_of_27b) {
  ModelSpec& spec = builder.spec();
  const double width = spec.n_layers == layers_of_27b ? double(spec.hidden_width) / spec.n_heads
                                                      : double(spec.head_dim);
  BATON_ASSIGN_OR_RETURN(const double scale,
                         builder.PositiveOr("attention.scale", 1 / std::sqrt(width)));
  spec.query_scale = static_cast<float>(scale);
  return OkStatus();
}

// 0: none.
Result<float> ReadSoftcap(const SpecBuilder& builder, std::string_view rest, double otherwise) {
  BATON_ASSIGN_OR_RETURN(const double said, builder.NumberOr(rest, otherwise));
  if (said == 0) return 0.0f;
  BATON_ASSIGN_OR_RETURN(const double cap, builder.PositiveOr(rest, otherwise));
  return static_cast<float>(cap);
}

// Gemma 2 has them unless a file says otherwise. Gemma 3 has norms instead of the one of attention:
// a file may still have its field, which transformers reads and does not use.
Status ReadSoftcaps(SpecBuilder& builder, bool third) {
  ModelSpec& spec = builder.spec();
  if (!third) {
    BATON_ASSIGN_OR_RETURN(spec.attention_softcap,
                           ReadSoftcap(builder, "attn_logit_softcapping", 50));
  }
  BATON_ASSIGN_OR_RETURN(spec.logit_softcap,
                         ReadSoftcap(builder, "final_logit_softcapping", third ? 0 : 30));
  return OkStatus();
}

// Layers with a window turn by an embedding of their own, which nothing scales.
Status ReadWindowRope(SpecBuilder& builder) {
  ModelSpec& spec = builder.spec();
  BATON_ASSIGN_OR_RETURN(const double base, builder.PositiveOr("rope.freq_base_swa", 10000));
  spec.window_rope = spec.rope;
  spec.window_rope->base = static_cast<float>(base);
  spec.window_rope->divisors.clear();
  spec.window_rope->magnitude = 1;
  return OkStatus();
}

}  // namespace

Result<ModelSpec> ReadGemmaSpec(const Checkpoint& checkpoint, std::string_view architecture) {
  const bool third = architecture == "gemma3";
  SpecBuilder builder(checkpoint, architecture);
  ModelSpec& spec = builder.spec();
  spec.family = Family::kGemma;
  spec.rope.halves = true;
  spec.qk_norm = third;
  spec.qkv_bias = builder.HasLayerTensor(0, "attn_q.bias");
  spec.attention_output_bias = builder.HasLayerTensor(0, "attn_output.bias");
  BATON_RETURN_IF_ERROR(builder.ReadWidths());
  BATON_RETURN_IF_ERROR(builder.ReadHeads());
  BATON_RETURN_IF_ERROR(builder.ReadWindow(third ? 6 : 2));
  BATON_RETURN_IF_ERROR(builder.ReadEnds());
  BATON_RETURN_IF_ERROR(builder.ReadRope({.base = third ? 1e6 : 1e4}));
  BATON_RETURN_IF_ERROR(ReadQueryScale(builder, third ? 62 : 46));
  BATON_RETURN_IF_ERROR(ReadSoftcaps(builder, third));
  if (third) BATON_RETURN_IF_ERROR(ReadWindowRope(builder));
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.hidden_width));
  BATON_RETURN_IF_ERROR(builder.CheckLayers(TensorsOf));
  return builder.Finish();
}

}  // namespace baton
