#include "plan/profile.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baton::plan {

std::string_view NameOf(Objective objective) {
  switch (objective) {
    case Objective::kThroughput:
      return "throughput";
    case Objective::kFit:
      return "fit";
    case Objective::kLatency:
      break;
  }
  return "latency";
}

std::optional<Objective> FindObjective(std::string_view name) {
  for (const Objective each : {Objective::kLatency, Objective::kThroughput, Objective::kFit}) {
    if (NameOf(each) == name) return each;
  }
  return std::nullopt;
}

std::string_view NameOf(ActivationType type) {
  switch (type) {
    case ActivationType::kF16:
      return "f16";
    case ActivationType::kQ8_0:
      return "q8_0";
    case ActivationType::kF32:
      break;
  }
  return "f32";
}

namespace {

double BytesPerElement(DType type) {
  const DTypeInfo& info = InfoOf(type);
  return static_cast<double>(info.block_bytes) / static_cast<double>(info.block_elements);
}

double Between(double a, double b, double share) {
  return a + (b - a) * share;
}

}  // namespace

double TypeRate::RooflineSeconds(double tokens) const {
  const double flops_per_byte = 2 / BytesPerElement(type);
  return std::max(1 / read_bytes_per_s, tokens * flops_per_byte / matmul_flops_per_s);
}

void TypeRate::Scale(double matmul, double read) {
  std::vector<double> excess;
  for (const BatchRate& batch : batches) excess.push_back(Excess(batch.tokens));
  matmul_flops_per_s *= matmul;
  read_bytes_per_s *= read;
  cached_bytes_per_s *= read;
  const double flops_per_byte = 2 / BytesPerElement(type);
  for (size_t i = 0; i < batches.size(); ++i) {
    BatchRate& batch = batches[i];
    batch.flops_per_s = batch.tokens * flops_per_byte / (excess[i] * RooflineSeconds(batch.tokens));
  }
}

double TypeRate::ReadingFrom(double cached_share) const {
  const double cached = std::max(cached_bytes_per_s, read_bytes_per_s);
  return 1 / (cached_share / cached + (1 - cached_share) / read_bytes_per_s);
}

void TypeRate::FollowReading(double from, double to) {
  // What the caches give is what computing allows: memory that is faster than that changes nothing.
  const double cached = cached_bytes_per_s;
  const double computing_s = cached > 0 ? 1 / std::max(cached, read_bytes_per_s) : 0;
  Scale(1, std::max(computing_s, 1 / from) / std::max(computing_s, 1 / to));
  cached_bytes_per_s = cached;
}

double TypeRate::Excess(double tokens) const {
  if (batches.empty() || tokens <= 1 || tokens >= kMany) return 1;
  // Seconds per byte of weights; lines in between.
  const double flops_per_byte = 2 / BytesPerElement(type);
  double before = 1, before_s = RooflineSeconds(1);
  double after = kMany, after_s = RooflineSeconds(kMany);
  for (const BatchRate& batch : batches) {
    const double seconds = batch.tokens * flops_per_byte / batch.flops_per_s;
    if (batch.tokens <= tokens) {
      before = batch.tokens;
      before_s = seconds;
      continue;
    }
    after = batch.tokens;
    after_s = seconds;
    break;
  }
  const double seconds = Between(before_s, after_s, (tokens - before) / (after - before));
  // A measurement that others disturbed, or that was lucky, is not believed beyond reason.
  return std::clamp(seconds / RooflineSeconds(tokens), 0.8, 4.0);
}

DeviceProfile DeviceProfile::AtReading(double bytes_per_s) const {
  DeviceProfile device = *this;
  if (!(reading_bytes_per_s > 0) || !(bytes_per_s > 0)) return device;
  for (TypeRate& rate : device.rates) rate.FollowReading(reading_bytes_per_s, bytes_per_s);
  // Decode attention waits for memory more than it fills its bandwidth.
  device.kv_read_bytes_per_s = std::min(kv_read_bytes_per_s, bytes_per_s);
  for (ContextRate& context : device.contexts)
    context.read_bytes_per_s = std::min(context.read_bytes_per_s, bytes_per_s);
  device.reading_bytes_per_s = bytes_per_s;
  return device;
}

const TypeRate& DeviceProfile::RateFor(DType type) const {
  const TypeRate* nearest = &rates.front();
  double least = std::numeric_limits<double>::infinity();
  for (const TypeRate& rate : rates) {
    if (rate.type == type) return rate;  // another one may be of just its size
    const double distance = std::abs(std::log(BytesPerElement(rate.type) / BytesPerElement(type)));
    if (distance >= least) continue;
    least = distance;
    nearest = &rate;
  }
  return *nearest;
}

Correction DeviceProfile::CorrectionFor(DType type) const {
  for (const Correction& each : corrections) {
    if (each.type == type) return each;
  }
  return {type};
}

ContextRate DeviceProfile::AttentionOver(double keys) const {
  ContextRate rate{static_cast<int>(keys), attention_flops_per_s, kv_read_bytes_per_s};
  if (contexts.empty()) return rate;
  const ContextRate* after = &contexts.front();
  const ContextRate* before = after;
  for (const ContextRate& each : contexts) {
    before = each.keys <= keys ? &each : before;
    after = &each;
    if (each.keys > keys) break;
  }
  const double share =
      after->keys == before->keys
          ? 0
          : std::clamp((keys - before->keys) / (after->keys - before->keys), 0.0, 1.0);
  rate.flops_per_s = Between(before->flops_per_s, after->flops_per_s, share);
  rate.read_bytes_per_s = Between(before->read_bytes_per_s, after->read_bytes_per_s, share);
  if (before->query_flops_per_s > 0 && after->query_flops_per_s > 0)
    rate.query_flops_per_s = Between(before->query_flops_per_s, after->query_flops_per_s, share);
  return rate;
}

const NodeProfile* ClusterProfile::FindNode(const NodeId& id) const {
  for (const NodeProfile& node : nodes) {
    if (node.id == id) return &node;
  }
  return nullptr;
}

const LinkProfile* ClusterProfile::FindLink(const NodeId& from, const NodeId& to) const {
  for (const LinkProfile& link : links) {
    if (link.from == from && link.to == to) return &link;
  }
  return nullptr;
}

int PipelineChunk(int prompt_tokens, int most) {
  constexpr int kChunks = 16;
  constexpr int kTokensMin = 64;
  return std::clamp(prompt_tokens / kChunks / kTokensMin * kTokensMin, std::min(kTokensMin, most),
                    most);
}

int Workload::ChunkOf(int prompt, size_t stages) const {
  const int most = std::max(1, chunk_tokens);
  return stages > 1 && fine_pipelines ? PipelineChunk(prompt, most) : most;
}

double ModelCost::ActivationBytesPerToken(const Workload& workload) const {
  switch (workload.activation_type) {
    case ActivationType::kF16:
      return 2.0 * hidden_width;
    case ActivationType::kQ8_0:
      return 34.0 / 32 * hidden_width;
    case ActivationType::kF32:
      break;
  }
  return 4.0 * hidden_width;
}

double ModelCost::CachedShare(uint64_t cache_bytes) const {
  if (cache_bytes == 0) return 0;
  double bytes = static_cast<double>(embedding_bytes);  // of a head, which is about as large
  for (const uint64_t layer : layer_weight_bytes) bytes += static_cast<double>(layer);
  // Measured: next to all of four tenths of the caches, a half of nine, nothing of 1.4 times.
  return std::clamp(1.4 - bytes / static_cast<double>(cache_bytes), 0.0, 1.0);
}

uint64_t ModelCost::HeldTokens(LayerRange layers, const Workload& workload) const {
  uint64_t pages = 0;
  for (int layer = layers.first; layer < layers.last; ++layer) {
    const int window = layer_windows.empty() ? 0 : layer_windows[static_cast<size_t>(layer)];
    pages +=
        static_cast<uint64_t>(PagesHeld(workload.context_tokens, window, workload.chunk_tokens));
  }
  return pages * kPageTokens;
}

namespace {

double BytesOfOneExpert(const ModelCost& model, int layer) {
  const auto at = static_cast<size_t>(layer);
  if (model.layer_active_bytes.empty() || model.experts <= model.experts_used) return 0;
  return static_cast<double>(model.layer_weight_bytes[at] - model.layer_active_bytes[at]) /
         (model.experts - model.experts_used);
}

}  // namespace

double ModelCost::SharedBytes(int layer) const {
  return static_cast<double>(layer_weight_bytes[static_cast<size_t>(layer)]) -
         experts * BytesOfOneExpert(*this, layer);
}

namespace {

double ExpertsDrawn(const ModelCost& model, double tokens) {
  const double not_by_one = 1.0 - static_cast<double>(model.experts_used) / model.experts;
  return model.experts * (1 - std::pow(not_by_one, tokens));
}

}  // namespace

double ModelCost::ExpertBytes(int layer, double tokens) const {
  return experts == 0 ? 0 : ExpertsDrawn(*this, tokens) * BytesOfOneExpert(*this, layer);
}

double ModelCost::TokensPerExpert(double tokens) const {
  return experts == 0 ? tokens : tokens * experts_used / ExpertsDrawn(*this, tokens);
}

double ModelCost::ExpertShare(int layer) const {
  if (layer_active_bytes.empty()) return 0;
  const auto active = static_cast<double>(layer_active_bytes[static_cast<size_t>(layer)]);
  return active > 0 ? experts_used * BytesOfOneExpert(*this, layer) / active : 0;
}

}  // namespace baton::plan
