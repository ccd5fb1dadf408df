#include "plan/cost.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Framing, TLS and two thread hand-overs per message.
constexpr double kSoftwareSeconds = 60e-6;
// Scratch of a stage per token of a chunk: a few activations of the widest kind.
constexpr double kScratchWidths = 16;
constexpr uint64_t kReserveBytes = 64 << 20;

double Ratio(double amount, double rate) {
  return rate > 0 ? amount / rate : kInfinity;
}

// Keys that all tokens of a prompt attend to in a layer.
double KeysOfPrompt(const ModelCost& model, int layer, double prompt) {
  if (model.PromptShare(layer) < 1) return 0;
  const double seen = model.SeenTokens(layer, prompt);
  return seen * (prompt - seen / 2);
}

// Of the first n layers, for every n.
template <typename T, typename OfLayer>
std::vector<T> SumsOf(const ModelCost& model, const OfLayer& of_layer) {
  std::vector<T> sums(1, T{});
  for (int layer = 0; layer < model.n_layers(); ++layer)
    sums.push_back(sums.back() + of_layer(layer));
  return sums;
}

template <typename T>
T Of(const std::vector<T>& sums, LayerRange layers) {
  return sums[static_cast<size_t>(layers.last)] - sums[static_cast<size_t>(layers.first)];
}

}  // namespace

CostModel::CostModel(const ModelCost& model, const Workload& workload)
    : model_(model),
      workload_(workload),
      prompt_(std::max(1, workload.prompt_tokens)),
      chunk_(std::clamp<double>(workload.chunk_tokens, 1, prompt_)),
      full_chunks_(std::floor(prompt_ / chunk_)),
      rest_(prompt_ - full_chunks_ * chunk_) {
  const auto experts = [&](double tokens) {
    return SumsOf<double>(model, [&](int layer) { return model.ExpertBytes(layer, tokens); });
  };
  const auto prompt_experts = [&](double tokens) {
    return SumsOf<double>(model, [&](int layer) {
      return model.PromptShare(layer) < 1 ? 0 : model.ExpertBytes(layer, tokens);
    });
  };
  sums_.weight_bytes =
      SumsOf<uint64_t>(model, [&](int layer) { return model.layer_weight_bytes[layer]; });
  sums_.held_tokens = SumsOf<uint64_t>(model, [&](int layer) {
    return model.HeldTokens({layer, layer + 1}, workload);
  });
  sums_.shared_bytes = SumsOf<double>(model, [&](int layer) { return model.SharedBytes(layer); });
  sums_.prompt_layers = SumsOf<double>(model, [&](int layer) { return model.PromptShare(layer); });
  sums_.prompt_bytes = SumsOf<double>(
      model, [&](int layer) { return model.PromptShare(layer) * model.SharedBytes(layer); });
  sums_.expert_layers = SumsOf<double>(model, [&](int layer) { return model.ExpertShare(layer); });
  sums_.prompt_expert_layers = SumsOf<double>(model, [&](int layer) {
    return model.PromptShare(layer) < 1 ? 0 : model.ExpertShare(layer);
  });
  sums_.chunk_bytes = prompt_experts(chunk_);
  sums_.rest_bytes = prompt_experts(rest_);
  sums_.decode_bytes = experts(std::max(1, workload.concurrency));
  sums_.one_bytes = experts(1);
  sums_.prompt_keys =
      SumsOf<double>(model, [&](int layer) { return KeysOfPrompt(model, layer, prompt_); });
  const double context = prompt_ + workload.answer_tokens / 2.0;
  sums_.seen_tokens =
      SumsOf<double>(model, [&](int layer) { return model.SeenTokens(layer, context); });
}

uint64_t CostModel::MemoryOf(LayerRange layers) const {
  const bool embeds = layers.first == 0;
  const bool heads = layers.last == model_.n_layers();
  uint64_t bytes = Of(sums_.weight_bytes, layers);
  if (embeds) bytes += model_.embedding_bytes;
  if (heads && !(embeds && model_.tied_embeddings)) bytes += model_.head_bytes;
  bytes += static_cast<uint64_t>(workload_.slots) * Of(sums_.held_tokens, layers) *
           model_.KvBytesPerTokenPerLayer(workload_.kv_type);
  bytes += static_cast<uint64_t>(kScratchWidths * workload_.chunk_tokens * model_.hidden_width * 4);
  return bytes + kReserveBytes;
}

CostModel::Speed CostModel::SpeedOf(const DeviceProfile& device) const {
  const TypeRate& rate = device.RateFor(model_.weight_type);
  const double cached_share = model_.CachedShare(device.cache_bytes);
  const auto excess = [&](double tokens) {
    return Speed::Excess{rate.Excess(tokens), rate.Excess(model_.TokensPerExpert(tokens))};
  };
  return {.matmul_flops_per_s = rate.matmul_flops_per_s,
          .read_bytes_per_s = rate.ReadingFrom(cached_share),
          .knows_few_tokens = !rate.batches.empty(),
          .chunk = excess(chunk_),
          .rest = excess(std::max(1.0, rest_)),
          .decode = excess(std::max(1, workload_.concurrency)),
          // What models that memory is read for have taught says nothing of one that is not.
          .correction = cached_share > 0 ? Correction{model_.weight_type}
                                         : device.CorrectionFor(model_.weight_type)};
}

double CostModel::StepSeconds(const Speed& speed, const Products& shared, const Products& experts,
                              const Speed::Excess& excess) const {
  const auto reading_s = [&](const Products& products) {
    return Ratio(products.bytes, speed.read_bytes_per_s);
  };
  const auto computing_s = [&](double token_layers) {
    return Ratio(token_layers * model_.layer_flops_per_token, speed.matmul_flops_per_s);
  };
  if (!speed.knows_few_tokens)
    return std::max(reading_s(shared), computing_s(shared.token_layers + experts.token_layers)) *
               excess.shared +
           reading_s(experts);
  return std::max(reading_s(shared), computing_s(shared.token_layers)) * excess.shared +
         std::max(reading_s(experts), computing_s(experts.token_layers)) * excess.experts;
}

double CostModel::DecodeStep(const DeviceProfile& device, const Speed& speed, LayerRange layers,
                             double requests, double expert_bytes) const {
  const bool heads = layers.last == model_.n_layers();
  const Speed::Excess excess = requests > 1 ? speed.decode : Speed::Excess{};
  const double heads_s =
      heads ? std::max(Ratio(static_cast<double>(model_.head_bytes), speed.read_bytes_per_s),
                       Ratio(requests * model_.head_flops_per_token, speed.matmul_flops_per_s)) *
                  excess.shared
            : 0;
  const auto kv_bytes = static_cast<double>(model_.KvBytesPerTokenPerLayer(workload_.kv_type));
  const double keys = Of(sums_.seen_tokens, layers);
  const ContextRate attention = device.AttentionOver(keys / layers.size());
  const double queries_s =
      attention.query_flops_per_s > 0
          ? Ratio(requests * keys * 4 * model_.q_width, attention.query_flops_per_s)
          : 0;
  const double kv_s = Ratio(requests * keys * kv_bytes, attention.read_bytes_per_s) + queries_s;
  const double expert_layers = Of(sums_.expert_layers, layers);
  const double matrices_s = StepSeconds(
      speed, {Of(sums_.shared_bytes, layers), requests * (layers.size() - expert_layers)},
      {expert_bytes, requests * expert_layers}, excess);
  const double elements_s = ElementSeconds(device, requests * layers.size());
  const double overhead_s = layers.size() * device.layer_overhead_us * 1e-6;
  return speed.correction.decode * (matrices_s + heads_s + kv_s + elements_s + overhead_s);
}

double CostModel::DecodeBytes(const DeviceProfile& device, LayerRange layers,
                              double requests) const {
  const auto kv_bytes = static_cast<double>(model_.KvBytesPerTokenPerLayer(workload_.kv_type));
  double weights = Of(sums_.shared_bytes, layers) +
                   Of(requests > 1 ? sums_.decode_bytes : sums_.one_bytes, layers);
  if (layers.last == model_.n_layers()) weights += static_cast<double>(model_.head_bytes);
  return (1 - model_.CachedShare(device.cache_bytes)) * weights +
         requests * Of(sums_.seen_tokens, layers) * kv_bytes;
}

double CostModel::ElementSeconds(const DeviceProfile& device, double token_layers) const {
  return token_layers * model_.layer_elements_per_token * device.element_ns * 1e-9;
}

StageCost CostModel::CostOf(const DeviceProfile& device, LayerRange layers) const {
  return CostOf(device, SpeedOf(device), layers);
}

PromptCost CostModel::PromptOf(const DeviceProfile& device, const Speed& speed,
                               LayerRange layers) const {
  const bool heads = layers.last == model_.n_layers();
  const double overhead_s = layers.size() * device.layer_overhead_us * 1e-6;
  const double chunks = full_chunks_ + (rest_ > 0 ? 1 : 0);
  const double head_s =
      heads ? Ratio(static_cast<double>(model_.head_bytes), speed.read_bytes_per_s) : 0;
  // Attention of token t reads t keys, or its window's: 4 x q_width FLOPs each.
  const double keys = Of(sums_.prompt_keys, layers);
  const double attention_s = Ratio(
      keys * 4 * model_.q_width, device.AttentionOver(keys / layers.size() / prompt_).flops_per_s);
  const double expert_layers = Of(sums_.prompt_expert_layers, layers);
  const double shared_layers = Of(sums_.prompt_layers, layers) - expert_layers;
  const auto step = [&](double tokens, const Speed::Excess& excess,
                        const std::vector<double>& expert_bytes) {
    return StepSeconds(speed, {Of(sums_.prompt_bytes, layers), tokens * shared_layers},
                       {Of(expert_bytes, layers), tokens * expert_layers}, excess);
  };
  const double matrices_s = full_chunks_ * step(chunk_, speed.chunk, sums_.chunk_bytes) +
                            (rest_ > 0 ? step(rest_, speed.rest, sums_.rest_bytes) : 0);
  const double elements_s = ElementSeconds(device, prompt_ * Of(sums_.prompt_layers, layers));
  const double tokens_s = matrices_s + attention_s + elements_s;
  const double times = speed.correction.PrefillOf(chunk_);
  return {.chunk_s = times * (tokens_s / chunks + overhead_s),
          .whole_s = times * (tokens_s + head_s + chunks * overhead_s)};
}

StageCost CostModel::CostOf(const DeviceProfile& device, const Speed& speed,
                            LayerRange layers) const {
  const int requests = std::max(1, workload_.concurrency);
  const PromptCost prompt = PromptOf(device, speed, layers);
  StageCost cost;
  cost.prefill_chunk_s = prompt.chunk_s;
  cost.prefill_whole_s = prompt.whole_s;
  cost.decode_step_s = DecodeStep(device, speed, layers, requests, Of(sums_.decode_bytes, layers));
  cost.decode_one_s = requests == 1
                          ? cost.decode_step_s
                          : DecodeStep(device, speed, layers, 1, Of(sums_.one_bytes, layers));
  cost.memory_bytes = MemoryOf(layers);
  return cost;
}

uint64_t MemoryFor(const ModelCost& model, LayerRange layers, const Workload& workload) {
  return CostModel(model, workload).MemoryOf(layers);
}

StageCost CostOf(const DeviceProfile& device, const ModelCost& model, LayerRange layers,
                 const Workload& workload) {
  return CostModel(model, workload).CostOf(device, layers);
}

double LinkSeconds(const LinkProfile& link, double bytes) {
  return link.rtt_us * 0.5e-6 + kSoftwareSeconds + Ratio(bytes, link.bytes_per_s);
}

double TransferSeconds(const ClusterProfile& cluster, const NodeId& from, const NodeId& to,
                       double bytes) {
  if (from == to) return 0;
  const LinkProfile* link = cluster.FindLink(from, to);
  if (link == nullptr) return kInfinity;
  return LinkSeconds(*link, bytes);
}

}  // namespace baton::plan
