// ModelSpec: everything about a model that placement and a forward pass must know, without its
// weights. A plain value: it is copied between threads, compared, and planned with on machines
// that do not hold the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/kv_type.h"

namespace baton {

// One forward pass per family (engine/families/). Several architecture names share one: kLlama is
// also Mistral, Mixtral, Qwen2, Qwen3, Qwen3-MoE and Phi-3.
enum class Family { kLlama, kGemma, kGptOss, kDeepSeek };

// Rotary position embedding: element pair i of a head turns by
//   position * base^(-2i / dimensions) / divisor(i)
// where divisor(i) is `divisors[i]`, or 1 where `divisors` is empty. Every scaling that baton knows
// (linear, Llama 3, YaRN, LongRoPE) comes down to these divisors and the magnitude. Pairs are
// adjacent elements (2i, 2i + 1); where `halves`, the file has them at i and i + dimensions / 2 of
// each head, and loading brings the rows of Q and K together.
struct RopeSpec {
  int32_t dimensions = 0;  // even; <= head_dim: only the first `dimensions` elements turn
  float base = 10000.0f;
  std::vector<float> divisors;  // empty, or dimensions / 2 positive numbers
  float magnitude = 1.0f;       // what turns is multiplied by it (YaRN, LongRoPE)
  // LongRoPE (Phi-3 with 128k): all of a text of more than `short_tokens` tokens turns by these
  // instead (docs/decisions/0013). 0: no text does.
  int32_t short_tokens = 0;
  std::vector<float> long_divisors;
  bool halves = false;
  bool operator==(const RopeSpec&) const = default;
};

// Queries of far positions weigh more (Ministral 3, after Llama 4): at position p they are
// multiplied by 1 + factor * ln(1 + floor(p / tokens)) too.
struct QueryGrowth {
  float factor = 0;  // 0: they are not
  int32_t tokens = 1;

  bool operator==(const QueryGrowth&) const = default;
};

// How to draw tokens, as far as somebody has said: the author of a model, or a request.
struct SamplingChoice {
  std::optional<float> temperature;  // [0, 2]
  std::optional<int32_t> top_k;      // 0: all
  std::optional<float> top_p;        // [0, 1]
  std::optional<float> min_p;        // [0, 1]

  bool operator==(const SamplingChoice&) const = default;
};

// What a router makes of its logits: their softmax over all experts, or each one's own.
enum class ExpertScore : uint8_t { kSoftmax, kSigmoid };

// A feed-forward made of experts (engine/experts.h).
struct ExpertSpec {
  int32_t count = 0;         // 0: the feed-forward is dense
  int32_t used = 0;          // by each token
  int32_t ffn_width = 0;     // of one
  int32_t shared_width = 0;  // of one more feed-forward, for all tokens; 0: none
  ExpertScore score = ExpertScore::kSoftmax;
  bool biased = false;         // blk.N.exp_probs_b.bias joins the scores, but for choosing alone
  bool normalized = true;      // the weights of those chosen add up to 1, then...
  float scale = 1;             // ...this is their factor
  int32_t groups = 1;          // consecutive experts as so many groups, of which...
  int32_t groups_used = 1;     // ...so many are chosen from
  std::vector<bool> in_layer;  // which layers have them, the others are dense; empty: all

  bool operator==(const ExpertSpec&) const = default;
};

// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): keys and values of all
// heads are made of one latent. What is cached of a token is that latent, normed, and behind it one
// turned key that all heads share; a head's query is brought to the latent's side.
struct LatentSpec {
  int32_t kv_rank = 0;      // elements of a latent; 0: attention has K and V as they are
  int32_t q_rank = 0;       // elements that queries are made of; 0: of the hidden state
  int32_t unturned = 0;     // elements of a head's query before those that turn
  int32_t value_dim = 0;    // of what a head makes
  bool split_heads = true;  // attn_k_b and attn_v_b, where not attn_kv_b

  bool operator==(const LatentSpec&) const = default;
};

struct ModelSpec {
  Family family = Family::kLlama;
  std::string architecture;  // "llama": as the file says
  std::string name;          // for people; may be empty
  std::string quantization;  // "Q4_K_M", "F16", ...: for people
  std::string license;       // for people; may be empty

  int32_t n_layers = 0;
  int32_t hidden_width = 0;  // width of the activation that crosses layers
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;  // divides n_heads
  int32_t head_dim = 0;    // of Q, K and V; n_heads * head_dim may differ from hidden_width. Of
                           // latents: all that is cached of a token
  int32_t ffn_width = 0;
  int32_t vocab_size = 0;
  int32_t context_length = 0;  // what the model was trained for
  float rms_epsilon = 1e-5f;
  int32_t window = 0;  // tokens that a layer with a sliding window sees; 0: no layer has one
  std::vector<bool> windowed;  // per layer, which those are; empty: all
  RopeSpec rope;
  std::optional<RopeSpec> window_rope;  // of layers with a window, where it is another
  float query_scale = 0;                // queries are multiplied by it
  QueryGrowth query_growth;
  float attention_softcap = 0;  // of scores, 0: none (device::AttentionForm)
  float logit_softcap = 0;      // of logits, likewise
  float embedding_scale = 1;    // embeddings are multiplied by it
  ExpertSpec experts;
  LatentSpec latent;
  SamplingChoice sampling;  // general.sampling.*, where a request says nothing

  // Attention multiplies in F32 rather than BF16: where all weights of the layers are F32, which
  // is to say that somebody wants it exact.
  bool exact_attention = false;
  bool tied_embeddings = false;        // no output.weight: logits come from token_embd.weight
  bool qkv_bias = false;               // blk.N.attn_{q,k,v}.bias in every layer; of latents
                                       // attn_{q_a,kv_a_mqa,output}.bias
  bool attention_output_bias = false;  // blk.N.attn_output.bias
  bool ffn_bias = false;               // blk.N.ffn_{gate,up,down}.bias
  bool fused_qkv = false;              // blk.N.attn_qkv.weight: rows of Q, then K, then V
  bool fused_gate_up = false;          // blk.N.ffn_up.weight: rows of the gate, then of up
  bool qk_norm = false;                // blk.N.attn_{q,k}_norm.weight, of each head before it turns

  std::vector<uint64_t> layer_weight_bytes;  // per layer, exactly as a checkpoint gives them
  std::vector<uint64_t> layer_active_bytes;  // of those, what one token reads
  uint64_t embedding_bytes = 0;              // token_embd.weight
  uint64_t head_bytes = 0;  // output_norm.weight and the matrix that makes logits (tied: again)
  uint64_t parameters = 0;  // all weights in the file
  uint64_t active_parameters = 0;  // those one token reads; equal for dense models

  bool IsWindowed(int32_t layer) const {
    return windowed.empty() || windowed[static_cast<size_t>(layer)];
  }
  // How many tokens attention sees in a layer, 0: all.
  int32_t WindowOf(int32_t layer) const { return IsWindowed(layer) ? window : 0; }
  const RopeSpec& RopeOf(int32_t layer) const {
    return window_rope && IsWindowed(layer) ? *window_rope : rope;
  }
  // Do positions of a text of so many tokens turn by `rope.long_divisors`?
  bool TurnsLong(int tokens) const { return rope.short_tokens > 0 && tokens > rope.short_tokens; }
  int32_t q_width() const { return n_heads * head_dim; }
  int32_t kv_width() const { return n_kv_heads * head_dim; }
  // Of what attention makes of all heads' values, or latents.
  int32_t attended_width() const {
    return n_heads * (latent.kv_rank > 0 ? latent.kv_rank : head_dim);
  }
  // What is cached of one token in one layer: K and V, or a latent and its key.
  int32_t kv_elements() const { return (latent.kv_rank > 0 ? 1 : 2) * kv_width(); }
  uint64_t KvBytesPerTokenPerLayer(KvType type = KvType::kF16) const {
    return KvBytesOf(type, static_cast<size_t>(kv_elements()));
  }
  // kInvalidArgument where what is cached is not whole blocks of `type`.
  Status CheckKvType(KvType type) const;
  bool HasExperts(int32_t layer) const {
    return experts.count > 0 &&
           (experts.in_layer.empty() || experts.in_layer[static_cast<size_t>(layer)]);
  }
  // Multiply and add count as two; attention over the context is not in it. Of a layer on average.
  double FlopsPerTokenPerLayer() const;
  // Of those, what makes queries, keys and values (or the latent of both): all that the last layer
  // computes of tokens whose logits nobody wants.
  double ProjectionFlopsPerToken() const;
  // Activations of one token that pass from product to product, once for every pass over them:
  // those that products take (normed or gated on their way), heads that are normed and turned, what
  // is cached, rows that experts take and give. Of a layer on average.
  double ElementsPerTokenPerLayer() const;
  // The projection to logits.
  double HeadFlopsPerToken() const { return 2.0 * hidden_width * vocab_size; }
  // Weights of the layers and both ends: what a node that runs all of it must hold.
  uint64_t TotalWeightBytes() const;

  bool operator==(const ModelSpec&) const = default;
};

}  // namespace baton
