// The cost model: seconds as a function of bytes, FLOPs and rates (DESIGN section 8). Pure.
#pragma once

#include "plan/profile.h"

namespace baton::plan {

// Seconds of one device for `layers` of a model. `embeds` and `heads`: it holds the first or the
// last layer, with what belongs there.
struct StageCost {
  double prefill_chunk_s = 0;  // one chunk at the middle of the prompt
  double prefill_whole_s = 0;  // all chunks of the prompt, one after the other
  double decode_step_s = 0;    // one token with the KV of prompt and half the answer
  uint64_t memory_bytes = 0;
};
StageCost CostOf(const DeviceProfile& device, const ModelCost& model, LayerRange layers,
                 const Workload& workload);

// Memory of a device that holds `layers`: weights, KV of all slots, activations, reserve.
uint64_t MemoryFor(const ModelCost& model, LayerRange layers, const Workload& workload);

// One-way seconds for `bytes` from one node to another, software included; nothing between a node
// and itself. Infinite where there is no link.
double TransferSeconds(const ClusterProfile& cluster, const NodeId& from, const NodeId& to,
                       double bytes);

// DESIGN section 7: what remains of sending `kv_bytes` behind a prefill of `prefill_s` seconds over
// `layers` layers on a link of `bytes_per_s`.
struct Exposure {
  double seconds = 0;
  bool hidden = false;  // only the last layer of the last chunk remains
};
Exposure ExposedSend(double kv_bytes, double bytes_per_s, double prefill_s, int layers,
                     double last_unit_bytes);

}  // namespace baton::plan
