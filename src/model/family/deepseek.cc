#include "model/family/deepseek.h"

#include <cmath>

#include "model/family/spec_builder.h"

namespace baton {
namespace {

constexpr int64_t kRankMax = 1 << 16;
constexpr int64_t kHeadsMax = 1 << 14;
constexpr int64_t kHeadDimMax = 1 << 12;

LayerTensors TensorsOf(const ModelSpec& s, int layer) {
  const LatentSpec& latent = s.latent;
  const int64_t hidden = s.hidden_width;
  const int64_t heads = s.n_heads;
  const int64_t queries = heads * (latent.unturned + s.rope.dimensions);
  LayerTensors tensors = {{"attn_norm.weight", hidden},
                          {"attn_kv_a_mqa.weight", hidden, s.head_dim},
                          {"attn_kv_a_norm.weight", latent.kv_rank},
                          {"attn_output.weight", heads * latent.value_dim, hidden},
                          {"ffn_norm.weight", hidden}};
  const auto add = [&](bool has, const LayerTensors& more) {
    if (has) tensors.insert(tensors.end(), more.begin(), more.end());
  };
  add(latent.q_rank == 0, {{"attn_q.weight", hidden, queries}});
  add(latent.q_rank > 0, {{"attn_q_a.weight", hidden, latent.q_rank},
                          {"attn_q_a_norm.weight", latent.q_rank},
                          {"attn_q_b.weight", latent.q_rank, queries}});
  add(latent.split_heads,
      {{"attn_k_b.weight", latent.unturned, latent.kv_rank, heads, false, true},
       {"attn_v_b.weight", latent.kv_rank, latent.value_dim, heads, false, true}});
  add(!latent.split_heads,
      {{"attn_kv_b.weight", latent.kv_rank, heads * (latent.unturned + latent.value_dim)}});
  add(s.qkv_bias, {{"attn_kv_a_mqa.bias", s.head_dim}, {"attn_output.bias", hidden}});
  add(s.qkv_bias && latent.q_rank > 0, {{"attn_q_a.bias", latent.q_rank}});
  const ExpertSpec& experts = s.experts;
  const bool mixed = s.HasExperts(layer);
  add(!mixed, {{"ffn_gate.weight", hidden, s.ffn_width},
               {"ffn_up.weight", hidden, s.ffn_width},
               {"ffn_down.weight", s.ffn_width, hidden}});
  add(mixed, {{"ffn_gate_inp.weight", hidden, experts.count},
              {"ffn_gate_exps.weight", hidden, experts.ffn_width, experts.count},
              {"ffn_up_exps.weight", hidden, experts.ffn_width, experts.count},
              {"ffn_down_exps.weight", experts.ffn_width, hidden, experts.count}});
  add(mixed && experts.biased, {{"exp_probs_b.bias", experts.count}});
  add(mixed && experts.shared_width > 0, {{"ffn_gate_shexp.weight", hidden, experts.shared_width},
                                          {"ffn_up_shexp.weight", hidden, experts.shared_width},
                                          {"ffn_down_shexp.weight", experts.shared_width, hidden}});
  return tensors;
}

// Newer files say what is cached in key_length and value_length, and what heads have in *_mla.
Result<int32_t> ReadHeadLength(const SpecBuilder& builder, std::string_view which) {
  const std::string rest = fmt::format("attention.{}_length", which);
  const std::string of_heads = rest + "_mla";
  return builder.Integer(builder.metadata().Has(builder.Key(of_heads)) ? of_heads : rest,
                         kHeadDimMax);
}

Status ReadLatents(SpecBuilder& builder) {
  ModelSpec& spec = builder.spec();
  LatentSpec& latent = spec.latent;
  BATON_ASSIGN_OR_RETURN(spec.n_heads, builder.Integer("attention.head_count", kHeadsMax));
  BATON_ASSIGN_OR_RETURN(latent.kv_rank, builder.Integer("attention.kv_lora_rank", kRankMax));
  if (builder.metadata().Has(builder.Key("attention.q_lora_rank"))) {
    BATON_ASSIGN_OR_RETURN(latent.q_rank, builder.Integer("attention.q_lora_rank", kRankMax));
  }
  BATON_ASSIGN_OR_RETURN(const int32_t key_dim, ReadHeadLength(builder, "key"));
  BATON_ASSIGN_OR_RETURN(latent.value_dim, ReadHeadLength(builder, "value"));
  BATON_ASSIGN_OR_RETURN(const int32_t turning,
                         builder.Integer("rope.dimension_count", kHeadDimMax));
  if (turning >= key_dim)
    return MakeError(Code::kInvalidArgument, "{} {} is not below the key's length {}",
                     builder.Key("rope.dimension_count"), turning, key_dim);
  latent.unturned = key_dim - turning;
  latent.split_heads = builder.HasLayerTensor(0, "attn_k_b.weight");
  spec.qkv_bias = builder.HasLayerTensor(0, "attn_kv_a_mqa.bias");
  BATON_ASSIGN_OR_RETURN(spec.rope.halves,
                         builder.metadata().BoolOr(builder.Key("rope.halves"), false));
  spec.n_kv_heads = 1;
  spec.head_dim = latent.kv_rank + turning;
  spec.query_scale = 1.0f / std::sqrt(static_cast<float>(key_dim));
  return OkStatus();
}

// DeepSeek's YaRN has two magnitudes: one of all scores, which the file gives as its logarithmic
// part, and one of what turns, relative to the first. All published models have both alike, which
// is what a file means that does not say more.
Status ReadMagnitudes(SpecBuilder& builder) {
  ModelSpec& spec = builder.spec();
  constexpr std::string_view kOfScores = "rope.scaling.yarn_log_multiplier";
  if (spec.rope.divisors.empty() || !builder.metadata().Has(builder.Key(kOfScores)))
    return OkStatus();
  BATON_ASSIGN_OR_RETURN(const double multiplier, builder.PositiveOr(kOfScores, 0.1));
  BATON_ASSIGN_OR_RETURN(const double factor, builder.PositiveOr("rope.scaling.factor", 1.0));
  const double magnitude = factor > 1 ? 1 + multiplier * std::log(factor) : 1.0;
  spec.query_scale *= static_cast<float>(magnitude * magnitude);
  if (!builder.metadata().Has(builder.Key("rope.scaling.attn_factor"))) spec.rope.magnitude = 1;
  return OkStatus();
}

// Files from before groups had keys leave them out; these are those of the published models that
// have some: V2 and V3.
void GuessGroups(ExpertSpec& experts) {
  const bool second = experts.score == ExpertScore::kSoftmax && experts.count == 160;
  const bool third = experts.score == ExpertScore::kSigmoid && experts.count == 256;
  if (!second && !third) return;
  experts.groups = 8;
  experts.groups_used = second ? 3 : 4;
}

Status ReadGroups(SpecBuilder& builder) {
  ExpertSpec& experts = builder.spec().experts;
  GuessGroups(experts);
  BATON_ASSIGN_OR_RETURN(experts.groups,
                         builder.IntegerOr("expert_group_count", experts.count, experts.groups));
  BATON_ASSIGN_OR_RETURN(experts.groups_used,
                         builder.IntegerOr("expert_group_used_count", experts.groups,
                                           std::min(experts.groups, experts.groups_used)));
  const int32_t in_group = experts.count / experts.groups;
  const int32_t least = experts.groups > 1 && experts.score == ExpertScore::kSigmoid ? 2 : 1;
  if (experts.count % experts.groups != 0 || in_group < least ||
      experts.used > in_group * experts.groups_used)
    return MakeError(Code::kInvalidArgument,
                     "{} {}: {} experts, {} of them used out of {} groups, do not go with that",
                     builder.Key("expert_group_count"), experts.groups, experts.count, experts.used,
                     experts.groups_used);
  return OkStatus();
}

Status ReadRouter(SpecBuilder& builder) {
  ExpertSpec& experts = builder.spec().experts;
  constexpr int32_t kSoftmax = 1, kSigmoid = 2;
  // Where a file does not say it: only V3, whose scores are sigmoids, has a bias for choosing.
  BATON_ASSIGN_OR_RETURN(
      const int32_t gate,
      builder.IntegerOr("expert_gating_func", INT32_MAX, experts.biased ? kSigmoid : kSoftmax));
  if (gate != kSoftmax && gate != kSigmoid)
    return MakeError(Code::kUnimplemented, "{} {}: only softmax (1) and sigmoid (2) are supported",
                     builder.Key("expert_gating_func"), gate);
  experts.score = gate == kSigmoid ? ExpertScore::kSigmoid : ExpertScore::kSoftmax;
  BATON_ASSIGN_OR_RETURN(experts.normalized,
                         builder.metadata().BoolOr(builder.Key("expert_weights_norm"), false));
  BATON_ASSIGN_OR_RETURN(const double scale, builder.PositiveOr("expert_weights_scale", 1.0));
  experts.scale = static_cast<float>(scale);
  return ReadGroups(builder);
}

Status ReadMixture(SpecBuilder& builder) {
  ModelSpec& spec = builder.spec();
  ExpertSpec& experts = spec.experts;
  BATON_RETURN_IF_ERROR(builder.ReadExpertCounts());
  if (experts.count == 0)
    return MakeError(Code::kInvalidArgument, "key '{}' is missing", builder.Key("expert_count"));
  const auto count = [&](std::string_view rest, int64_t max) {
    return builder.metadata().IntegerOr(builder.Key(rest), 0, max, 0);
  };
  BATON_ASSIGN_OR_RETURN(const int64_t dense, count("leading_dense_block_count", spec.n_layers));
  BATON_ASSIGN_OR_RETURN(const int64_t shared, count("expert_shared_count", 1 << 10));
  for (int64_t layer = 0; layer < spec.n_layers; ++layer)
    experts.in_layer.push_back(layer >= dense);
  experts.shared_width = static_cast<int32_t>(shared) * experts.ffn_width;
  experts.biased =
      dense < spec.n_layers && builder.HasLayerTensor(static_cast<int>(dense), "exp_probs_b.bias");
  BATON_RETURN_IF_ERROR(ReadRouter(builder));
  experts.biased = experts.biased && experts.score == ExpertScore::kSigmoid;
  return OkStatus();
}

}  // namespace

Result<ModelSpec> ReadDeepSeekSpec(const Checkpoint& checkpoint, std::string_view architecture) {
  SpecBuilder builder(checkpoint, architecture);
  ModelSpec& spec = builder.spec();
  spec.family = Family::kDeepSeek;
  BATON_RETURN_IF_ERROR(builder.ReadWidths());
  BATON_RETURN_IF_ERROR(ReadLatents(builder));
  BATON_RETURN_IF_ERROR(ReadMixture(builder));
  BATON_RETURN_IF_ERROR(builder.ReadEnds());
  BATON_RETURN_IF_ERROR(builder.ReadRope());
  BATON_RETURN_IF_ERROR(ReadMagnitudes(builder));
  BATON_RETURN_IF_ERROR(builder.CheckLayers(TensorsOf));
  return builder.Finish();
}

}  // namespace baton
