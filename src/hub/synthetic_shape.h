// Shapes of models, real ones by name and others from text, for hub/synthetic_model.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton::hub {

struct SyntheticShape {
  std::string name;
  std::string architecture = "llama";  // or another that synthetic_shape.cc lists
  int32_t n_layers = 4;
  int32_t hidden_width = 256;
  int32_t n_heads = 4;
  int32_t n_kv_heads = 2;
  int32_t head_dim = 64;
  int32_t ffn_width = 512;
  int32_t vocab_size = 512;
  int32_t context_length = 4096;
  float rope_base = 10000.0f;
  bool tied_embeddings = false;
  int32_t n_experts = 0;  // 0: dense
  int32_t experts_used = 0;
  int32_t expert_ffn_width = 0;
  int32_t window = 0;  // of the layers that have one; 0: none has
  // DeepSeek's, where head_dim is of a head's query and key.
  int32_t kv_rank = 0;
  int32_t q_rank = 0;    // 0: queries of the hidden state
  int32_t rope_dim = 0;  // of head_dim, what turns
  int32_t value_dim = 0;
  int32_t dense_layers = 0;
  int32_t shared_experts = 0;
  int32_t groups = 1;
  int32_t groups_used = 1;
  int32_t sigmoid = 0;  // 1: scores and a bias as V3 has them

  bool IsGemma() const { return architecture.starts_with("gemma"); }
  bool IsGptOss() const { return architecture == "gpt-oss"; }
  bool IsDeepSeek() const { return architecture == "deepseek2"; }
};

// The shapes that have a name.
std::vector<SyntheticShape> KnownShapes();
// A known name, or "key=value,..." with keys arch, layers, hidden, heads, kv_heads, head_dim, ffn,
// vocab, context, rope_base, tied, experts, experts_used, expert_ffn, window, and for DeepSeek
// kv_rank, q_rank, rope_dim, value_dim, dense_layers, shared_experts, groups, groups_used, sigmoid;
// absent keys are those of "tiny". An unknown name or key is an error that lists the known ones.
Result<SyntheticShape> ParseShape(std::string_view text);

// kInvalidArgument where no model of the architecture has such a shape.
Status CheckShape(const SyntheticShape& shape);

}  // namespace baton::hub
