#include "model/safetensors/architectures.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "model/safetensors/config.h"

namespace baton::safetensors {
namespace {

// ---- modules outside the layers ----

constexpr ModuleRow kEnds[] = {
    {"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};

// ---- Llama and what is built like it ----

constexpr ModuleRow kLlamaModules[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},  // Phi-3
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},  // Qwen3
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},  // Phi-3
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},  // Qwen3-MoE; MLX stacks the experts of all
    {"mlp.experts.*.gate_proj", "ffn_gate_exps"},
    {"mlp.experts.*.up_proj", "ffn_up_exps"},
    {"mlp.experts.*.down_proj", "ffn_down_exps"},
    {"mlp.switch_mlp.gate_proj", "ffn_gate_exps"},
    {"mlp.switch_mlp.up_proj", "ffn_up_exps"},
    {"mlp.switch_mlp.down_proj", "ffn_down_exps"},
    {"block_sparse_moe.gate", "ffn_gate_inp"},  // Mixtral
    {"block_sparse_moe.experts.*.w1", "ffn_gate_exps"},
    {"block_sparse_moe.experts.*.w3", "ffn_up_exps"},
    {"block_sparse_moe.experts.*.w2", "ffn_down_exps"},
    {"block_sparse_moe.switch_mlp.gate_proj", "ffn_gate_exps"},
    {"block_sparse_moe.switch_mlp.up_proj", "ffn_up_exps"},
    {"block_sparse_moe.switch_mlp.down_proj", "ffn_down_exps"},
};

constexpr FieldRow kLlamaFields[] = {
    {"num_hidden_layers", "block_count"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"max_position_embeddings", "context_length"},
    {"vocab_size", "vocab_size"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"head_dim", "attention.key_length"},
    {"head_dim", "attention.value_length"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", FieldKind::kNumber},
    {"num_local_experts", "expert_count"},  // Mixtral
    {"num_experts", "expert_count"},        // Qwen3-MoE
    {"num_experts_per_tok", "expert_used_count"},
    {"moe_intermediate_size", "expert_feed_forward_length"},
};

Status ReadLlama(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireText("hidden_act", "silu"));
  config.AddHalves();
  BATON_RETURN_IF_ERROR(config.AddRope());
  return config.AddWindow();
}

Status ReadMinistral3(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(ReadLlama(config));
  return config.AddQueryGrowth();
}

// A wrapper says of its text model which of two it is.
Status ReadMistral3(ConfigReader& config) {
  BATON_ASSIGN_OR_RETURN(const std::string type, config.Text("model_type", ""));
  return type == "ministral3" ? ReadMinistral3(config) : ReadLlama(config);
}

Status ReadQwen3(ConfigReader& config) {
  config.AddHeadDimOr(128);
  return ReadLlama(config);
}

Status ReadMixtral(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireText("hidden_act", "silu"));
  config.AddHalves();
  BATON_RETURN_IF_ERROR(config.AddRope({.theta = 1e6}));
  return config.AddWindow();
}

Status ReadQwen3Moe(ConfigReader& config) {
  BATON_ASSIGN_OR_RETURN(const bool normalized, config.BoolOr("norm_topk_prob", false));
  config.AddBool("expert_weights_norm", normalized);
  BATON_RETURN_IF_ERROR(config.AddLayersWithExperts("decoder_sparse_step", "mlp_only_layers"));
  return ReadLlama(config);
}

// ---- Gemma 2 and 3 ----

constexpr ModuleRow kGemmaModules[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "post_attention_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
};

constexpr FieldRow kGemmaFields[] = {
    {"num_hidden_layers", "block_count"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"max_position_embeddings", "context_length"},
    {"vocab_size", "vocab_size"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"head_dim", "attention.key_length"},
    {"head_dim", "attention.value_length"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", FieldKind::kNumber},
    {"attn_logit_softcapping", "attn_logit_softcapping", FieldKind::kNumber},
    {"final_logit_softcapping", "final_logit_softcapping", FieldKind::kNumber},
};

Status ReadGemma(ConfigReader& config, const RopeHabits& rope) {
  config.AddHeadDimOr(256);
  BATON_RETURN_IF_ERROR(config.RequireText("hidden_activation", "gelu_pytorch_tanh"));
  BATON_RETURN_IF_ERROR(config.RequireBool("use_bidirectional_attention", false, false));
  config.AddNoneWhereNull("attn_logit_softcapping");
  config.AddNoneWhereNull("final_logit_softcapping");
  BATON_RETURN_IF_ERROR(config.AddQueryScale("query_pre_attn_scalar"));
  BATON_RETURN_IF_ERROR(config.AddRope(rope));
  return config.AddWindow();
}

Status ReadGemma2(ConfigReader& config) {
  return ReadGemma(config, {});
}

// transformers writes what rope_scaling says over {"rope_type": "default"}, which "type" is no
// match for.
Status ReadGemma3(ConfigReader& config) {
  return ReadGemma(config, {.older_type = false});
}

// ---- gpt-oss ----

constexpr ModuleRow kGptOssModules[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.sinks", "attn_sinks"},
    {"post_attention_layernorm", "post_attention_norm"},
    {"mlp.router", "ffn_gate_inp"},
    {"mlp.experts.gate_up_proj", "ffn_gate_exps", RowChoice::kEven, true},
    {"mlp.experts.gate_up_proj", "ffn_up_exps", RowChoice::kOdd, true},
    {"mlp.experts.down_proj", "ffn_down_exps", RowChoice::kAll, true},
    {"mlp.experts.gate_proj", "ffn_gate_exps"},  // MLX
    {"mlp.experts.up_proj", "ffn_up_exps"},
};

constexpr FieldRow kGptOssFields[] = {
    {"num_hidden_layers", "block_count"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"intermediate_size", "expert_feed_forward_length"},
    {"max_position_embeddings", "context_length"},
    {"vocab_size", "vocab_size"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"head_dim", "attention.key_length"},
    {"head_dim", "attention.value_length"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", FieldKind::kNumber},
    {"num_local_experts", "expert_count"},
    {"num_experts_per_tok", "expert_used_count"},
    {"experts_per_token", "expert_used_count"},
};

// Those of transformers' GptOssConfig.
constexpr char kGptOssRope[] = R"({"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0,
  "beta_slow": 1.0, "truncate": false, "original_max_position_embeddings": 4096})";

Status ReadGptOss(ConfigReader& config) {
  config.AddHeadDimOr(64);
  BATON_RETURN_IF_ERROR(config.RequireText("hidden_act", "silu"));
  BATON_RETURN_IF_ERROR(config.RequireNumber("swiglu_limit", 7));
  BATON_RETURN_IF_ERROR(config.RequireNumber("swiglu_alpha", 1.702));
  BATON_RETURN_IF_ERROR(config.AddRope({.parameters = kGptOssRope}));
  return config.AddWindow();
}

// ---- DeepSeek V2 and V3 ----

constexpr ModuleRow kDeepSeekModules[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.q_a_proj", "attn_q_a"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm"},
    {"self_attn.q_b_proj", "attn_q_b"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    {"self_attn.kv_b_proj", "attn_kv_b"},
    {"self_attn.embed_q", "attn_k_b"},  // MLX: of each head
    {"self_attn.unembed_out", "attn_v_b"},
    {"self_attn.o_proj", "attn_output"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"mlp.gate.e_score_correction", "exp_probs_b"},  // its "_bias" is a role
    {"mlp.experts.*.gate_proj", "ffn_gate_exps"},
    {"mlp.experts.*.up_proj", "ffn_up_exps"},
    {"mlp.experts.*.down_proj", "ffn_down_exps"},
    {"mlp.switch_mlp.gate_proj", "ffn_gate_exps"},  // MLX
    {"mlp.switch_mlp.up_proj", "ffn_up_exps"},
    {"mlp.switch_mlp.down_proj", "ffn_down_exps"},
    {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
    {"mlp.shared_experts.down_proj", "ffn_down_shexp"},
};

constexpr FieldRow kDeepSeekFields[] = {
    {"num_hidden_layers", "block_count"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"max_position_embeddings", "context_length"},
    {"vocab_size", "vocab_size"},
    {"num_attention_heads", "attention.head_count"},
    {"kv_lora_rank", "attention.kv_lora_rank"},
    {"q_lora_rank", "attention.q_lora_rank"},
    {"qk_rope_head_dim", "rope.dimension_count"},
    {"v_head_dim", "attention.value_length"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", FieldKind::kNumber},
    {"n_routed_experts", "expert_count"},
    {"num_experts_per_tok", "expert_used_count"},
    {"moe_intermediate_size", "expert_feed_forward_length"},
    {"n_shared_experts", "expert_shared_count"},
    {"first_k_dense_replace", "leading_dense_block_count"},
    {"routed_scaling_factor", "expert_weights_scale", FieldKind::kNumber},
};

Status ReadDeepSeek(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireText("hidden_act", "silu"));
  BATON_RETURN_IF_ERROR(config.RequireInteger("moe_layer_freq", 1));
  BATON_RETURN_IF_ERROR(
      config.AddSum("qk_nope_head_dim", "qk_rope_head_dim", "attention.key_length"));
  BATON_RETURN_IF_ERROR(config.AddRope());
  return config.AddMagnitudeOfScores();
}

// norm_topk_prob is left alone, as transformers leaves it: no published model has it true.
Status ReadDeepSeek2(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireText("scoring_func", "softmax"));
  BATON_RETURN_IF_ERROR(config.RequireBool("mlp_bias", false, false));
  BATON_ASSIGN_OR_RETURN(const std::string method, config.Text("topk_method", "greedy"));
  if (method == "greedy") {
    config.AddInteger("expert_group_count", 1);
  } else {
    BATON_RETURN_IF_ERROR(config.RequireText("topk_method", "group_limited_greedy"));
    BATON_RETURN_IF_ERROR(config.AddGroups());
  }
  config.AddInteger("expert_gating_func", 1);
  return ReadDeepSeek(config);
}

Status ReadDeepSeek3(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireText("scoring_func", "sigmoid"));
  BATON_RETURN_IF_ERROR(config.RequireText("topk_method", "noaux_tc"));
  BATON_ASSIGN_OR_RETURN(const bool adjacent, config.BoolOr("rope_interleave", true));
  if (!adjacent) config.AddHalves();
  BATON_ASSIGN_OR_RETURN(const bool normalized, config.BoolOr("norm_topk_prob", true));
  BATON_RETURN_IF_ERROR(config.AddGroups());
  config.AddBool("expert_weights_norm", normalized);
  config.AddInteger("expert_gating_func", 2);
  return ReadDeepSeek(config);
}

// ---- text models within multimodal ones, whose other parts are left alone ----

// Those of transformers' Gemma3TextConfig: files of the smaller ones leave most of them out.
constexpr char kGemma3Defaults[] = R"({
  "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
  "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
  "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 131072,
  "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0,
  "query_pre_attn_scalar": 256, "sliding_window": 4096, "sliding_window_pattern": 6})";
constexpr char kNoDefaults[] = "{}";

// ---- what a text model's config.json may leave out ----

constexpr char kMistralUsual[] = R"({"sliding_window": 4096})";
constexpr char kQwenUsual[] = R"({"sliding_window": 4096, "max_window_layers": 28})";
constexpr char kQwen3MoeUsual[] = R"({"sliding_window": 4096})";
constexpr char kGemmaUsual[] = R"({"sliding_window": 4096, "query_pre_attn_scalar": 256})";
constexpr char kGptOssUsual[] = R"({"sliding_window": 128})";
constexpr char kDeepSeek3Usual[] = R"({"routed_scaling_factor": 2.5, "n_group": 8, "topk_group": 4,
  "n_shared_experts": 1, "first_k_dense_replace": 3})";

constexpr Architecture kArchitectures[] = {
    {"LlamaForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadLlama},
    {"MistralForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadLlama, nullptr, false, false,
     kMistralUsual},
    {"MinistralForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadLlama, nullptr, false, false,
     kMistralUsual},
    {"Ministral3ForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadMinistral3},
    {"Mistral3ForConditionalGeneration", "llama", kLlamaModules, kLlamaFields, ReadMistral3,
     kNoDefaults},
    {"MixtralForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadMixtral},
    {"Qwen2ForCausalLM", "qwen2", kLlamaModules, kLlamaFields, ReadLlama, nullptr, false, false,
     kQwenUsual},
    {"Qwen3ForCausalLM", "qwen3", kLlamaModules, kLlamaFields, ReadQwen3, nullptr, false, false,
     kQwenUsual},
    {"Qwen3MoeForCausalLM", "qwen3moe", kLlamaModules, kLlamaFields, ReadQwen3Moe, nullptr, false,
     false, kQwen3MoeUsual},
    {"Phi3ForCausalLM", "phi3", kLlamaModules, kLlamaFields, ReadLlama},
    {"Gemma2ForCausalLM", "gemma2", kGemmaModules, kGemmaFields, ReadGemma2, nullptr, true, true,
     kGemmaUsual},
    {"Gemma3ForCausalLM", "gemma3", kGemmaModules, kGemmaFields, ReadGemma3, nullptr, true, true,
     kGemmaUsual},
    {"Gemma3ForConditionalGeneration", "gemma3", kGemmaModules, kGemmaFields, ReadGemma3,
     kGemma3Defaults, true, true},
    {"GptOssForCausalLM", "gpt-oss", kGptOssModules, kGptOssFields, ReadGptOss, nullptr, false,
     false, kGptOssUsual},
    {"DeepseekV2ForCausalLM", "deepseek2", kDeepSeekModules, kDeepSeekFields, ReadDeepSeek2},
    {"DeepseekV3ForCausalLM", "deepseek2", kDeepSeekModules, kDeepSeekFields, ReadDeepSeek3,
     nullptr, false, false, kDeepSeek3Usual},
};

// ---- names ----

constexpr std::string_view kLayers = "model.layers.";

struct Ending {
  std::string_view text;
  std::string_view role;
};
// Behind a module's name and a dot. The two names of scales mean the same: they multiply.
constexpr Ending kRoles[] = {{"weight", "weight"},
                             {"bias", "bias"},
                             {"scales", "scales"},
                             {"biases", "biases"},
                             {"weight_scale_inv", "weight_scale"},
                             {"weight_scale", "weight_scale"}};
// Behind that of gpt-oss: "mlp.experts.gate_up_proj_blocks".
constexpr Ending kEndings[] = {{"_blocks", "blocks"}, {"_scales", "scales"}, {"_bias", "bias"}};

// Of tensors that no weight is made of. Scales of activations and of keys and values are of use to
// who computes with those in FP8.
constexpr std::string_view kNotWeights[] = {
    ".rotary_emb.inv_freq", ".activation_scale", ".input_scale", ".input_scale_ub",
    ".output_scale",        ".q_scale",          ".k_scale",     ".v_scale"};

// What stands before the names of a wrapper's text model, and what we call it; first that with
// which the hub's folders were written, then transformers' since 4.52.
struct Prefix {
  std::string_view hub;
  std::string_view text;
};
constexpr Prefix kTextPrefixes[] = {{"language_model.", ""}, {"model.language_model.", "model."}};
// Its other parts.
constexpr std::string_view kOtherParts[] = {"vision_tower.", "multi_modal_projector.",
                                            "model.vision_tower.", "model.multi_modal_projector."};

// The name that the text model alone would have; empty for a tensor of another part.
std::string WithinText(std::string_view name) {
  for (const Prefix& prefix : kTextPrefixes) {
    if (name.starts_with(prefix.hub))
      return std::string(prefix.text) + std::string(name.substr(prefix.hub.size()));
  }
  const bool other = std::any_of(std::begin(kOtherParts), std::end(kOtherParts),
                                 [&](std::string_view part) { return name.starts_with(part); });
  return other ? std::string() : std::string(name);
}

// A number without leading zeros at the front of `text`, which it is taken off; -1 if there is
// none.
int64_t TakeNumber(std::string_view& text) {
  int32_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return -1;
  const auto digits = static_cast<size_t>(end - text.data());
  if (text[0] == '0' && digits > 1) return -1;
  text.remove_prefix(digits);
  return number;
}

// Whether `module` is `row.hub`; with the number that stands for its '*'.
bool Matches(std::string_view module, std::string_view pattern, int64_t& expert) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return module == pattern;
  if (!module.starts_with(pattern.substr(0, star))) return false;
  module.remove_prefix(star);
  expert = TakeNumber(module);
  return expert >= 0 && module == pattern.substr(star + 1);
}

// Cuts "self_attn.q_proj.weight" into module and role; the role is empty where it is none of ours.
std::string_view TakeRole(std::string_view& name) {
  const size_t dot = name.rfind('.');
  if (dot != std::string_view::npos) {
    for (const auto& [text, role] : kRoles) {
      if (name.substr(dot + 1) != text) continue;
      name = name.substr(0, dot);
      return role;
    }
  }
  for (const Ending& ending : kEndings) {
    if (!name.ends_with(ending.text)) continue;
    name.remove_suffix(ending.text.size());
    return ending.role;
  }
  return "weight";  // a parameter of its own: "self_attn.sinks"
}

}  // namespace

Result<const Architecture*> FindArchitecture(std::string_view hub_name) {
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.hub == hub_name) return &architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture.hub);
  }
  return MakeError(Code::kUnimplemented, "architecture '{}' is not supported; supported: {}",
                   log::Escape(hub_name.substr(0, 128)), known);
}

Result<std::vector<TensorName>> ParseTensorName(const Architecture& architecture,
                                                const LayerCounts& layers, std::string_view name) {
  std::vector<TensorName> names;
  const std::string within =
      architecture.text_defaults == nullptr ? std::string(name) : WithinText(name);
  const bool needless = std::any_of(std::begin(kNotWeights), std::end(kNotWeights),
                                    [&](std::string_view end) { return name.ends_with(end); });
  if (within.empty() || needless) return names;
  std::string_view module = within;
  const std::string_view role = TakeRole(module);
  for (const ModuleRow& row : kEnds) {
    if (module == row.hub) names.push_back({std::string(row.gguf), -1, &row, role});
  }
  if (!names.empty()) return names;
  const auto unknown = [&] {
    return MakeError(Code::kUnimplemented, "tensor '{}' is not part of a {} that is supported",
                     log::Escape(name), architecture.hub);
  };
  if (!module.starts_with(kLayers)) return unknown();
  module.remove_prefix(kLayers.size());
  const int64_t layer = TakeNumber(module);
  if (layer < 0 || !module.starts_with('.') || layer >= layers.run + layers.predict)
    return unknown();
  if (layer >= layers.run) return names;
  module.remove_prefix(1);
  for (const ModuleRow& row : architecture.modules) {
    int64_t expert = -1;
    if (Matches(module, row.hub, expert))
      names.push_back({fmt::format("blk.{}.{}", layer, row.gguf), expert, &row, role});
  }
  if (names.empty()) return unknown();
  return names;
}

}  // namespace baton::safetensors
