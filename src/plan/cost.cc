#include "plan/cost.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Framing, TLS and two thread hand-overs per message.
constexpr double kSoftwareSeconds = 60e-6;
// Scratch of a stage per token of a chunk: a few activations of the widest kind.
constexpr double kScratchWidths = 16;
constexpr uint64_t kReserveBytes = 64 << 20;

uint64_t SumOf(const std::vector<uint64_t>& bytes, LayerRange layers) {
  return std::accumulate(bytes.begin() + layers.first, bytes.begin() + layers.last, uint64_t{0});
}

double Ratio(double amount, double rate) {
  return rate > 0 ? amount / rate : kInfinity;
}

// Keys that all tokens of a prompt attend to, in all of some layers.
double KeysOfPrompt(const ModelCost& model, LayerRange layers, double prompt) {
  double keys = 0;
  for (int layer = layers.first; layer < layers.last; ++layer) {
    const double seen = model.SeenTokens(layer, prompt);
    keys += seen * (prompt - seen / 2);
  }
  return keys;
}

}  // namespace

uint64_t MemoryFor(const ModelCost& model, LayerRange layers, const Workload& workload) {
  const bool embeds = layers.first == 0;
  const bool heads = layers.last == model.n_layers();
  uint64_t bytes = SumOf(model.layer_weight_bytes, layers);
  if (embeds) bytes += model.embedding_bytes;
  if (heads && !(embeds && model.tied_embeddings)) bytes += model.head_bytes;
  bytes += static_cast<uint64_t>(workload.slots) * model.HeldTokens(layers, workload) *
           model.KvBytesPerTokenPerLayer(workload.kv_type);
  bytes += static_cast<uint64_t>(kScratchWidths * workload.chunk_tokens * model.hidden_width * 4);
  return bytes + kReserveBytes;
}

StageCost CostOf(const DeviceProfile& device, const ModelCost& model, LayerRange layers,
                 const Workload& workload) {
  const TypeRate rate = device.RateFor(model.weight_type);
  const bool heads = layers.last == model.n_layers();
  const double overhead_s = layers.size() * device.layer_overhead_us * 1e-6;
  const double prompt = std::max(1, workload.prompt_tokens);
  const double chunk = std::min<double>(workload.chunk_tokens, prompt);
  const double chunks = std::ceil(prompt / chunk);

  // Attention of token t reads t keys, or its window's: 4 x q_width FLOPs each.
  const double matrix_s =
      Ratio(prompt * layers.size() * model.layer_flops_per_token, rate.matmul_flops_per_s);
  const double attention_s =
      Ratio(KeysOfPrompt(model, layers, prompt) * 4 * model.q_width, device.attention_flops_per_s);
  const double head_once_s =
      heads ? Ratio(static_cast<double>(model.head_bytes), rate.read_bytes_per_s) : 0;

  const double context = prompt + workload.answer_tokens / 2.0;
  const auto& read_bytes =
      model.layer_active_bytes.empty() ? model.layer_weight_bytes : model.layer_active_bytes;
  const double weights =
      static_cast<double>(SumOf(read_bytes, layers)) + (heads ? model.head_bytes : 0);
  const double weights_s = Ratio(weights, rate.read_bytes_per_s);
  const double compute_s =
      Ratio(layers.size() * model.layer_flops_per_token + (heads ? model.head_flops_per_token : 0),
            rate.matmul_flops_per_s);
  const auto kv_bytes = static_cast<double>(model.KvBytesPerTokenPerLayer(workload.kv_type));
  const double kv_s =
      Ratio(model.SeenTokens(layers, context) * kv_bytes, device.kv_read_bytes_per_s);

  StageCost cost;
  cost.prefill_whole_s = matrix_s + attention_s + head_once_s + chunks * overhead_s;
  cost.prefill_chunk_s = (matrix_s + attention_s) / chunks + overhead_s;
  cost.decode_step_s = std::max(weights_s, compute_s) + kv_s + overhead_s;
  cost.memory_bytes = MemoryFor(model, layers, workload);
  return cost;
}

double TransferSeconds(const ClusterProfile& cluster, const NodeId& from, const NodeId& to,
                       double bytes) {
  if (from == to) return 0;
  const LinkProfile* link = cluster.FindLink(from, to);
  if (link == nullptr) return kInfinity;
  return link->rtt_us * 0.5e-6 + kSoftwareSeconds + Ratio(bytes, link->bytes_per_s);
}

Exposure ExposedSend(double kv_bytes, double bytes_per_s, double prefill_s, int layers,
                     double last_unit_bytes) {
  const double send_s = Ratio(kv_bytes, bytes_per_s);
  const double tail_s = Ratio(last_unit_bytes, bytes_per_s);
  const double behind_s = send_s - prefill_s * (1.0 - 1.0 / std::max(1, layers));
  return {std::max(tail_s, behind_s), send_s <= prefill_s};
}

}  // namespace baton::plan
