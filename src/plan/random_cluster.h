// Clusters, models and workloads drawn at random, for tests: unequal devices and memories, links
// that differ by direction or are missing, nodes without the model, windows, experts.
#pragma once

#include <cmath>

#include <fmt/format.h>

#include "base/random.h"
#include "plan/profile.h"

namespace baton::plan::drawn {

inline NodeId Id(size_t n) {
  std::array<uint8_t, 32> key{};
  key[0] = static_cast<uint8_t>(n >> 8);
  key[1] = static_cast<uint8_t>(n);
  return NodeId(key);
}

// Between the two, evenly by ratio.
inline double Ratio(Rng& rng, double least, double most) {
  return least * std::pow(most / least, rng.Uniform());
}

inline int Between(Rng& rng, int least, int most) {
  return least + static_cast<int>(rng.Below(static_cast<uint64_t>(most - least + 1)));
}

inline ModelCost RandomModel(Rng& rng, int layers) {
  ModelCost model;
  model.name = "random";
  const double parameters = Ratio(rng, 50e6, 500e6);
  const bool uneven = rng.Below(3) == 0;
  const bool windows = rng.Below(4) == 0;
  const bool experts = rng.Below(4) == 0;
  for (int layer = 0; layer < layers; ++layer) {
    const double size = parameters * 2 * (uneven ? Ratio(rng, 0.5, 2) : 1);
    model.layer_weight_bytes.push_back(static_cast<uint64_t>(size));
    if (experts) model.layer_active_bytes.push_back(static_cast<uint64_t>(size * 0.2));
    if (windows) model.layer_windows.push_back(rng.Below(2) == 0 ? 256 : 0);
  }
  if (experts) {
    model.experts = 32;
    model.experts_used = 4;
  }
  model.layer_flops_per_token = 2 * parameters * (experts ? 0.2 : 1);
  model.embedding_bytes = model.head_bytes = static_cast<uint64_t>(Ratio(rng, 50e6, 1e9));
  model.tied_embeddings = rng.Below(2) == 0;
  model.head_flops_per_token = static_cast<double>(model.head_bytes);
  model.kv_elements = 2048;
  model.q_width = 4096;
  model.hidden_width = 4096;
  model.layer_elements_per_token = 10 * model.hidden_width;
  return model;
}

// `memory_bytes`: what the whole model takes, of which nodes have a part or more.
inline NodeProfile RandomNode(Rng& rng, size_t n, double memory_bytes) {
  NodeProfile node{.id = Id(n), .name = fmt::format("n{}", n)};
  node.device.name = node.name;
  node.device.memory_bytes = static_cast<uint64_t>(memory_bytes * Ratio(rng, 0.15, 2));
  const double flops = Ratio(rng, 0.5e12, 100e12);
  const double read = Ratio(rng, 20e9, 1000e9);
  node.device.rates = {{DType::kF16, flops, read}};
  node.device.attention_flops_per_s = flops * Ratio(rng, 0.1, 1);
  node.device.kv_read_bytes_per_s = read * Ratio(rng, 0.3, 1);
  node.device.layer_overhead_us = rng.Below(2) == 0 ? 0 : Ratio(rng, 1, 200);
  node.device.element_ns = rng.Below(2) == 0 ? 0 : Ratio(rng, 1e-4, 1);
  node.has_model = rng.Below(8) != 0;
  return node;
}

inline void AddNode(Rng& rng, ClusterProfile& cluster, double memory_bytes) {
  const NodeProfile node = RandomNode(rng, cluster.nodes.size() + 1, memory_bytes);
  for (const NodeProfile& other : cluster.nodes) {
    const bool uneven = rng.Below(3) == 0;
    LinkProfile link{node.id, other.id, Ratio(rng, 20, 20000), Ratio(rng, 2e6, 12e9)};
    if (rng.Below(8) != 0) cluster.links.push_back(link);
    std::swap(link.from, link.to);
    if (uneven) link.bytes_per_s *= Ratio(rng, 0.1, 10);
    if (rng.Below(8) != 0) cluster.links.push_back(link);
  }
  cluster.nodes.push_back(node);
}

inline Workload RandomWorkload(Rng& rng, Objective objective) {
  Workload workload{.prompt_tokens = static_cast<int>(Ratio(rng, 1, 20000)),
                    .answer_tokens = static_cast<int>(Ratio(rng, 1, 1000)),
                    .context_tokens = 24000,
                    .chunk_tokens = rng.Below(2) == 0 ? 512 : 2048,
                    .kv_wire_type = rng.Below(2) == 0 ? KvType::kF16 : KvType::kQ8_0,
                    .objective = objective};
  if (rng.Below(2) == 0 || objective == Objective::kThroughput)
    workload.concurrency = workload.slots = Between(rng, 1, 8);
  return workload;
}

}  // namespace baton::plan::drawn
