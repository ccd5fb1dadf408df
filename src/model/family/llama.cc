#include "model/family/llama.h"

#include <algorithm>
#include <cmath>

#include "model/family/spec_builder.h"

namespace baton {
namespace {

LayerTensors TensorsOf(const ModelSpec& s, int layer) {
  const int64_t q = s.q_width();
  const int64_t kv = s.kv_width();
  LayerTensors tensors = {{"attn_norm.weight", s.hidden_width},
                          {"attn_output.weight", q, s.hidden_width},
                          {"ffn_norm.weight", s.hidden_width}};
  const auto add = [&](bool there, LayerTensors more) {
    if (there) tensors.insert(tensors.end(), more.begin(), more.end());
  };
  add(!s.fused_qkv, {{"attn_q.weight", s.hidden_width, q},
                     {"attn_k.weight", s.hidden_width, kv},
                     {"attn_v.weight", s.hidden_width, kv}});
  add(s.fused_qkv, {{"attn_qkv.weight", s.hidden_width, q + 2 * kv}});
  const ExpertSpec& experts = s.experts;
  const bool dense = !s.HasExperts(layer);
  add(dense && !s.fused_gate_up, {{"ffn_gate.weight", s.hidden_width, s.ffn_width},
                                  {"ffn_up.weight", s.hidden_width, s.ffn_width}});
  add(dense && s.fused_gate_up, {{"ffn_up.weight", s.hidden_width, int64_t{2} * s.ffn_width}});
  add(dense, {{"ffn_down.weight", s.ffn_width, s.hidden_width}});
  add(!dense, {{"ffn_gate_inp.weight", s.hidden_width, experts.count},
               {"ffn_gate_exps.weight", s.hidden_width, experts.ffn_width, experts.count},
               {"ffn_up_exps.weight", s.hidden_width, experts.ffn_width, experts.count},
               {"ffn_down_exps.weight", experts.ffn_width, s.hidden_width, experts.count}});
  add(s.qk_norm, {{"attn_q_norm.weight", s.head_dim}, {"attn_k_norm.weight", s.head_dim}});
  add(s.qkv_bias, {{"attn_q.bias", q}, {"attn_k.bias", kv}, {"attn_v.bias", kv}});
  add(s.attention_output_bias, {{"attn_output.bias", s.hidden_width}});
  add(s.ffn_bias, {{"ffn_gate.bias", s.ffn_width},
                   {"ffn_up.bias", s.ffn_width},
                   {"ffn_down.bias", s.hidden_width}});
  return tensors;
}

// Ministral 3. Of its YaRN files give the logarithmic part of mscale_all_dim, which the usual
// growth is divided by.
Status ReadQueryGrowth(SpecBuilder& builder) {
  ModelSpec& spec = builder.spec();
  constexpr std::string_view kScale = "attention.temperature_scale";
  constexpr std::string_view kAll = "rope.scaling.yarn_log_multiplier";
  if (builder.metadata().Has(builder.Key(kAll)) && !spec.rope.divisors.empty()) {
    BATON_ASSIGN_OR_RETURN(const double all, builder.PositiveOr(kAll, 1.0));
    BATON_ASSIGN_OR_RETURN(const double factor, builder.PositiveOr("rope.scaling.factor", 1.0));
    if (factor > 1) spec.rope.magnitude /= static_cast<float>(1 + 0.1 * all * std::log(factor));
  }
  if (!builder.metadata().Has(builder.Key(kScale))) return OkStatus();
  BATON_ASSIGN_OR_RETURN(const double factor, builder.PositiveOr(kScale, 1.0));
  spec.query_growth.factor = static_cast<float>(factor);
  BATON_ASSIGN_OR_RETURN(
      const double tokens,
      builder.PositiveOr("rope.scaling.original_context_length", spec.context_length));
  spec.query_growth.tokens = static_cast<int32_t>(std::max(tokens, 1.0));
  if (spec.rope.dimensions == spec.head_dim) return OkStatus();
  return MakeError(Code::kUnimplemented, "key '{}': {} of {} elements turn; supported: all",
                   builder.Key(kScale), spec.rope.dimensions, spec.head_dim);
}

}  // namespace

Result<ModelSpec> ReadLlamaSpec(const Checkpoint& checkpoint, std::string_view architecture) {
  SpecBuilder builder(checkpoint, architecture);
  ModelSpec& spec = builder.spec();
  spec.family = Family::kLlama;
  // The converters to GGUF reorder the rows of Q and K of these two alone.
  const bool reordered = architecture == "llama" || architecture == "mistral3";
  BATON_ASSIGN_OR_RETURN(spec.rope.halves,
                         builder.metadata().BoolOr(builder.Key("rope.halves"), !reordered));
  BATON_RETURN_IF_ERROR(builder.ReadWidths());
  BATON_RETURN_IF_ERROR(builder.ReadHeads());
  BATON_RETURN_IF_ERROR(builder.ReadExperts());
  BATON_RETURN_IF_ERROR(builder.ReadWindow(1));
  BATON_RETURN_IF_ERROR(builder.ReadEnds());
  BATON_RETURN_IF_ERROR(builder.ReadRope({.may_be_long = true}));
  BATON_RETURN_IF_ERROR(ReadQueryGrowth(builder));
  spec.fused_qkv = spec.fused_gate_up = architecture == "phi3";
  spec.qk_norm = architecture.starts_with("qwen3");
  spec.qkv_bias = builder.HasLayerTensor(0, "attn_q.bias");
  spec.attention_output_bias = builder.HasLayerTensor(0, "attn_output.bias");
  spec.ffn_bias = spec.experts.count == 0 && builder.HasLayerTensor(0, "ffn_gate.bias");
  BATON_RETURN_IF_ERROR(builder.CheckLayers(TensorsOf));
  return builder.Finish();
}

}  // namespace baton
