// What the planner knows: devices and links as measured, models as counted, and what is wanted.
// Plain values; equal inputs give equal plans on every machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "tensor/dtype.h"
#include "tensor/kv_type.h"

namespace baton::plan {

// Matrix products with so many tokens at once; a multiply-add is two FLOPs.
struct BatchRate {
  int tokens = 0;
  double flops_per_s = 0;
  bool operator==(const BatchRate&) const = default;
};

// How fast one device computes with one weight type.
struct TypeRate {
  // What "many tokens" are: more change nothing.
  static constexpr int kMany = 512;

  DType type = DType::kF16;
  double matmul_flops_per_s = 0;   // many tokens at once (prefill)
  double read_bytes_per_s = 0;     // weight bytes per second at one token (decode)
  std::vector<BatchRate> batches;  // measured in between, fewest tokens first; may be empty
  // Likewise at one token, of weights that are in the caches: more, no memory lets it be. 0: not
  // known.
  double cached_bytes_per_s = 0;

  // By how much products of `tokens` take longer than max(reading, computing) by these two rates:
  // where both bind, neither is as fast as alone. 1 where nothing in between was measured.
  double Excess(double tokens) const;
  // Another device, so many times as fast in each, with the same excess.
  void Scale(double matmul, double read);
  // Bytes of weights per second at one token, if caches hold this share of them.
  double ReadingFrom(double cached_share) const;
  // Measured where reading alone got `from` bytes per second, and now that it gets `to`.
  void FollowReading(double from, double to);
  bool operator==(const TypeRate&) const = default;

 private:
  double RooflineSeconds(double tokens) const;  // per byte of weights
};

// Attention over so many keys.
struct ContextRate {
  int keys = 0;
  double flops_per_s = 0;        // prefill
  double read_bytes_per_s = 0;   // decode, bytes of KV
  double query_flops_per_s = 0;  // decode, beside reading: 4 per (query width, key); 0: nothing
  bool operator==(const ContextRate&) const = default;
};

// By how much longer (or shorter) than predicted steps were seen to take with one weight type.
// Small chunks, as pipelines have them, are in error in other ways than whole ones: each size is
// corrected by what was seen of it.
struct Correction {
  // Chunks of so many tokens at most are fine ones.
  static constexpr int kFineTokens = 128;

  DType type = DType::kF16;
  double prefill = 1;
  double decode = 1;
  double fine_prefill = 1;

  double PrefillOf(double chunk_tokens) const {
    return chunk_tokens <= kFineTokens ? fine_prefill : prefill;
  }
  bool operator==(const Correction&) const = default;
};

// Where a node's threads compute. Nodes of one machine may have processors in common.
struct Processors {
  std::string machine;     // the same for all nodes of one; empty: not known, none in common
  std::vector<int> cores;  // that its threads may run on, ascending
  int threads = 0;
  // What its threads get of memory, likewise, while those of all other nodes of the machine read,
  // too; 0: not known.
  double shared_reading_bytes_per_s = 0;
  bool operator==(const Processors&) const = default;
};

// Measured on the device itself when its node starts.
struct DeviceProfile {
  std::string name;           // "AMD Ryzen 7 7840U, avx512, 8 threads"
  uint64_t memory_bytes = 0;  // what weights and KV may take
  std::vector<TypeRate> rates;
  double attention_flops_per_s = 0;   // prefill attention
  double kv_read_bytes_per_s = 0;     // decode attention
  std::vector<ContextRate> contexts;  // both as measured, fewest keys first; may be empty
  // What reading alone gets, of much more than the caches hold, where the rates are as they are;
  // 0: not known.
  double reading_bytes_per_s = 0;
  uint64_t cache_bytes = 0;      // 0: not known
  double layer_overhead_us = 0;  // per layer and step, whatever its size
  // Per element and pass of what lies between products: norms, rotation, conversion, gates.
  double element_ns = 0;
  // What sending a byte of KV takes of what computes prompts meanwhile; 0: others do it.
  double send_ns = 0;
  double watts = 0;  // at work; 0: not known
  Processors processors;
  // From steps that the node ran since (plan/feedback.h); for most types there is none.
  std::vector<Correction> corrections;

  bool measured() const { return !rates.empty(); }
  // The same device while reading alone gets `bytes_per_s`: what others of its machine read
  // meanwhile, and how its memory is clocked, change that.
  DeviceProfile AtReading(double bytes_per_s) const;
  // Of exactly this type.
  Correction CorrectionFor(DType type) const;
  // The rates for `type`, or for the measured type that is nearest in size; measured() holds.
  const TypeRate& RateFor(DType type) const;
  // Rates of attention over `keys` keys; in between and beyond those measured, of their line.
  ContextRate AttentionOver(double keys) const;
};

struct NodeProfile {
  NodeId id;
  std::string name;
  DeviceProfile device;
  bool has_model = true;  // the model's file lies on its disk
};

// One direction between two nodes.
struct LinkProfile {
  NodeId from;
  NodeId to;
  double rtt_us = 0;
  double bytes_per_s = 0;
  // That it leaves `from` by. Links of one port share its rate, those of a fast one and of a slow
  // one do not.
  std::string port;
};

struct ClusterProfile {
  std::vector<NodeProfile> nodes;
  std::vector<LinkProfile> links;

  const NodeProfile* FindNode(const NodeId& id) const;
  // Null if the two do not speak to each other.
  const LinkProfile* FindLink(const NodeId& from, const NodeId& to) const;
};

// What is made small: the time of one request while all others of the workload generate (of the
// slowest instance, if there are several); the time from one finished request to the next, of all
// instances together; the number of nodes.
enum class Objective { kLatency, kThroughput, kFit };
// "latency", "throughput", "fit".
std::string_view NameOf(Objective objective);
std::optional<Objective> FindObjective(std::string_view name);

// What rows of activations travel as between stages. This program sends F32.
enum class ActivationType { kF32, kF16, kQ8_0 };
std::string_view NameOf(ActivationType type);

struct Workload {
  int prompt_tokens = 512;
  int answer_tokens = 128;
  int context_tokens = 8192;           // room in the KV cache per request
  int slots = 1;                       // requests at once, at most
  int concurrency = 1;                 // requests at once, as predictions assume
  int chunk_tokens = 512;              // prefill chunk, at most
  bool fine_pipelines = true;          // stages that share a prompt cut it as PipelineChunk() says
  KvType kv_type = KvType::kF16;       // of pages
  KvType kv_wire_type = KvType::kF16;  // between nodes, where pages are of F16
  ActivationType activation_type = ActivationType::kF32;
  Objective objective = Objective::kLatency;
  // The planner may take a type that loses a little where that is better.
  bool choose_kv_type = false;
  bool choose_kv_wire_type = false;
  bool choose_activation_type = false;

  KvType TravelType() const { return kv_type == KvType::kF16 ? kv_wire_type : kv_type; }
  // Of a prompt of so many tokens that so many stages share.
  int ChunkOf(int prompt, size_t stages) const;
};

// Tokens of a chunk where several stages share a prompt of so many, at most `most`: enough chunks
// to fill the stages, few enough to keep the matrix kernels busy.
int PipelineChunk(int prompt_tokens, int most);

// What a model costs, counted from its tensors.
struct ModelCost {
  std::string name;
  DType weight_type = DType::kF16;           // of most of its bytes
  std::vector<uint64_t> layer_weight_bytes;  // per layer
  std::vector<uint64_t> layer_active_bytes;  // of those, what one token reads; empty: all
  int32_t experts = 0;                       // in each layer where those differ, of which...
  int32_t experts_used = 0;                  // ...each token reads so many
  std::vector<int32_t> layer_windows;        // tokens that attention sees, 0: all; empty: all
  double layer_flops_per_token = 0;          // matrices of one layer
  // Of the last layer, for prompt tokens whose logits nobody wants: their K and V are all that
  // matters, so that it ends with them. 0: it is as the others.
  double last_layer_flops_per_token = 0;
  double layer_elements_per_token = 0;  // that DeviceProfile::element_ns is paid for, of one layer
  uint64_t embedding_bytes = 0;
  uint64_t head_bytes = 0;  // read once per generated token
  bool tied_embeddings = false;
  double head_flops_per_token = 0;
  int32_t kv_elements = 0;  // K and V, or what else is cached, per token and layer
  int32_t q_width = 0;      // attention FLOPs: 4 x q_width per key
  int32_t hidden_width = 0;
  bool kv_in_q8_0 = true;  // may it be cached so?
  int32_t kv_heads = 0;    // what a tensor group may split attention by; 0: not known

  // What one stage sends the next of one token.
  double ActivationBytesPerToken(const Workload& workload) const;
  // What is cached of one token in one layer.
  uint64_t KvBytesPerTokenPerLayer(KvType type) const {
    return KvBytesOf(type, static_cast<size_t>(kv_elements));
  }
  // Tokens that attention sees in a layer when it sees `tokens` at most.
  double SeenTokens(int layer, double tokens) const {
    const int window = layer_windows.empty() ? 0 : layer_windows[static_cast<size_t>(layer)];
    return window == 0 || window > tokens ? tokens : window;
  }
  // The sum of these over some layers.
  double SeenTokens(LayerRange layers, double tokens) const {
    double sum = 0;
    for (int layer = layers.first; layer < layers.last; ++layer) sum += SeenTokens(layer, tokens);
    return sum;
  }
  // Bytes of a layer's weights that every step reads, and of its experts those that a step of
  // `tokens` tokens does: each token draws for itself, so E (1 - (1 - k / E)^T) of E are drawn.
  double SharedBytes(int layer) const;
  double ExpertBytes(int layer, double tokens) const;
  // Tokens that each expert which is drawn in such a step gets, and the share of a layer's FLOPs
  // that are experts'.
  double TokensPerExpert(double tokens) const;
  double ExpertShare(int layer) const;
  // Tokens that one request of `workload` has room for in all of some layers: in those with a
  // window no more than what one chunk needs.
  uint64_t HeldTokens(LayerRange layers, const Workload& workload) const;
  // The share of its weights that such caches still hold when the next token comes to them. All of
  // the model counts, whoever has which layers: stages on one machine have its caches in common.
  double CachedShare(uint64_t cache_bytes) const;
  int n_layers() const { return static_cast<int>(layer_weight_bytes.size()); }
  // What a prompt takes of a layer's matrices, as a share of all of them; and does it attend there?
  double PromptShare(int layer) const {
    const bool cut = layer + 1 == n_layers() && last_layer_flops_per_token > 0;
    return cut ? last_layer_flops_per_token / layer_flops_per_token : 1;
  }
};

}  // namespace baton::plan
