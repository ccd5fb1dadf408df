#include "model/safetensors/architectures.h"

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

Status ReadQwen3Moe(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireBool("norm_topk_prob", true, false));
  BATON_RETURN_IF_ERROR(config.RequireInteger("decoder_sparse_step", 1));
  BATON_RETURN_IF_ERROR(config.RequireEmpty("mlp_only_layers"));
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

Status ReadGemma(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireText("hidden_activation", "gelu_pytorch_tanh"));
  BATON_RETURN_IF_ERROR(config.AddQueryScale("query_pre_attn_scalar"));
  BATON_RETURN_IF_ERROR(config.AddRope());
  return config.AddWindow();
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
    {"mlp.experts.gate_up_proj", "ffn_gate_exps", RowChoice::kEven},
    {"mlp.experts.gate_up_proj", "ffn_up_exps", RowChoice::kOdd},
    {"mlp.experts.down_proj", "ffn_down_exps"},
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

Status ReadGptOss(ConfigReader& config) {
  BATON_RETURN_IF_ERROR(config.RequireText("hidden_act", "silu"));
  BATON_RETURN_IF_ERROR(config.RequireNumber("swiglu_limit", 7));
  BATON_RETURN_IF_ERROR(config.AddRope());
  return config.AddWindow();
}

constexpr Architecture kArchitectures[] = {
    {"LlamaForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadLlama},
    {"MistralForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadLlama},
    {"MixtralForCausalLM", "llama", kLlamaModules, kLlamaFields, ReadLlama},
    {"Qwen2ForCausalLM", "qwen2", kLlamaModules, kLlamaFields, ReadLlama},
    {"Qwen3ForCausalLM", "qwen3", kLlamaModules, kLlamaFields, ReadLlama},
    {"Qwen3MoeForCausalLM", "qwen3moe", kLlamaModules, kLlamaFields, ReadQwen3Moe},
    {"Phi3ForCausalLM", "phi3", kLlamaModules, kLlamaFields, ReadLlama},
    {"Gemma2ForCausalLM", "gemma2", kGemmaModules, kGemmaFields, ReadGemma, true, true},
    {"Gemma3ForCausalLM", "gemma3", kGemmaModules, kGemmaFields, ReadGemma, true, true},
    {"GptOssForCausalLM", "gpt-oss", kGptOssModules, kGptOssFields, ReadGptOss, false, false,
     false},
};

// ---- names ----

constexpr std::string_view kLayers = "model.layers.";
constexpr std::string_view kRoles[] = {"weight", "bias", "scales", "biases", "weight_scale_inv"};

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
    for (const std::string_view role : kRoles) {
      if (name.substr(dot + 1) != role) continue;
      name = name.substr(0, dot);
      return role;
    }
  }
  struct Ending {
    std::string_view text;
    std::string_view role;
  };
  // gpt-oss: "mlp.experts.gate_up_proj_blocks".
  for (const Ending& ending :
       {Ending{"_blocks", "blocks"}, Ending{"_scales", "scales"}, Ending{"_bias", "bias"}}) {
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
  if (name.ends_with(".rotary_emb.inv_freq")) return names;
  std::string_view module = name;
  const std::string_view role = TakeRole(module);
  for (const ModuleRow& row : kEnds) {
    if (module == row.hub) names.push_back({std::string(row.gguf), -1, row.rows, role});
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
      names.push_back({fmt::format("blk.{}.{}", layer, row.gguf), expert, row.rows, role});
  }
  if (names.empty()) return unknown();
  return names;
}

}  // namespace baton::safetensors
