#include "plan/profile.h"

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

TypeRate DeviceProfile::RateFor(DType type) const {
  const auto bytes_per_element = [](DType t) {
    const DTypeInfo& info = InfoOf(t);
    return static_cast<double>(info.block_bytes) / static_cast<double>(info.block_elements);
  };
  TypeRate nearest;
  double least = std::numeric_limits<double>::infinity();
  for (const TypeRate& rate : rates) {
    const double distance =
        std::abs(std::log(bytes_per_element(rate.type) / bytes_per_element(type)));
    if (distance >= least) continue;
    least = distance;
    nearest = rate;
  }
  return nearest;
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

double ModelCost::ExpertBytes(int layer, double tokens) const {
  if (experts == 0) return 0;
  const double undrawn = std::pow(1.0 - static_cast<double>(experts_used) / experts, tokens);
  return experts * (1 - undrawn) * BytesOfOneExpert(*this, layer);
}

}  // namespace baton::plan
