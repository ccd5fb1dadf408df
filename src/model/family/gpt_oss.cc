#include "model/family/gpt_oss.h"

#include "model/family/spec_builder.h"

namespace baton {
namespace {

LayerTensors TensorsOf(const ModelSpec& s, int) {
  const int64_t hidden = s.hidden_width;
  const int64_t q = s.q_width();
  const int64_t kv = s.kv_width();
  const int64_t experts = s.experts.count;
  const int64_t width = s.experts.ffn_width;
  LayerTensors tensors = {{"attn_norm.weight", hidden},
                          {"attn_q.weight", hidden, q},
                          {"attn_k.weight", hidden, kv},
                          {"attn_v.weight", hidden, kv},
                          {"attn_output.weight", q, hidden},
                          {"attn_sinks.weight", s.n_heads},
                          {"post_attention_norm.weight", hidden},
                          {"ffn_gate_inp.weight", hidden, experts},
                          {"ffn_gate_inp.bias", experts},
                          {"ffn_gate_exps.weight", hidden, width, experts},
                          {"ffn_gate_exps.bias", width, experts, 1, true},
                          {"ffn_up_exps.weight", hidden, width, experts},
                          {"ffn_up_exps.bias", width, experts, 1, true},
                          {"ffn_down_exps.weight", width, hidden, experts},
                          {"ffn_down_exps.bias", hidden, experts, 1, true}};
  if (s.qkv_bias)
    tensors.insert(tensors.end(), {{"attn_q.bias", q}, {"attn_k.bias", kv}, {"attn_v.bias", kv}});
  if (s.attention_output_bias) tensors.push_back({"attn_output.bias", hidden});
  return tensors;
}

}  // namespace

Result<ModelSpec> ReadGptOssSpec(const Checkpoint& checkpoint, std::string_view architecture) {
  SpecBuilder builder(checkpoint, architecture);
  ModelSpec& spec = builder.spec();
  spec.family = Family::kGptOss;
  spec.rope.halves = true;
  // The published models have all of them; attention_bias of their configuration leaves these out.
  spec.qkv_bias = builder.HasLayerTensor(0, "attn_q.bias");
  spec.attention_output_bias = builder.HasLayerTensor(0, "attn_output.bias");
  spec.ffn_bias = true;
  BATON_RETURN_IF_ERROR(builder.ReadWidths());
  BATON_RETURN_IF_ERROR(builder.ReadHeads());
  BATON_RETURN_IF_ERROR(builder.ReadExperts());
  if (spec.experts.count == 0)
    return MakeError(Code::kInvalidArgument, "key '{}' is missing", builder.Key("expert_count"));
  BATON_RETURN_IF_ERROR(builder.ReadWindow(2));
  BATON_RETURN_IF_ERROR(builder.ReadEnds());
  // The models were trained with a ramp that begins and ends between pairs.
  BATON_RETURN_IF_ERROR(builder.ReadRope({.base = 150000, .whole_ramp = false}));
  BATON_RETURN_IF_ERROR(builder.CheckLayers(TensorsOf));
  return builder.Finish();
}

}  // namespace baton
