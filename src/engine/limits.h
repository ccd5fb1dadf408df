// What this device achieves, measured in a few seconds: the planner's inputs (DESIGN 8) and the
// yardsticks of `baton bench`.
#pragma once

#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "os/clock.h"
#include "tensor/dtype.h"
#include "tensor/kv_type.h"

namespace baton::engine {

// Products with so many tokens; multiply and add count as two.
struct BatchLimits {
  int tokens = 0;
  double flops_per_s = 0;
};

struct TypeLimits {
  DType type = DType::kF32;
  double matrix_flops_per_s = 0;     // products with 512 tokens, their inputs' conversion left out
  double read_bytes_per_s = 0;       // products with one token: bytes of weights per second
  double cached_bytes_per_s = 0;     // likewise, of few weights that are in the caches
  std::vector<BatchLimits> batches;  // in between, fewest first
  double reading_bytes_per_s = 0;    // what reading alone got meanwhile
};

// Over so many keys.
struct ContextLimits {
  int keys = 0;
  double flops_per_s = 0;  // 512 queries, 4 per (query width, key)
  // One query takes what its bytes of K and V take, and then 4 per (query width, key); 0 where a
  // wider query takes no longer.
  double read_bytes_per_s = 0;
  double query_flops_per_s = 0;
};

// Of one KvType.
struct AttentionLimits {
  KvType type = KvType::kF16;
  double flops_per_s = 0;               // over 2048 keys
  double read_bytes_per_s = 0;          // over 2048 keys
  std::vector<ContextLimits> contexts;  // fewest keys first
};

struct Limits {
  device::Peaks peaks;
  // Reading alone, by all threads, of much more than the caches hold.
  double reading_bytes_per_s = 0;
  std::vector<TypeLimits> types;
  std::vector<AttentionLimits> attention;  // F16 first
  // Of many tokens, per element and pass between products (ModelSpec::ElementsPerTokenPerLayer).
  double element_ns = 0;
  double layer_overhead_us = 0;  // a decode step's cost per layer that no byte or element explains
};

// Uses the device alone for about eight seconds. Takes about 400 MiB while it runs.
Result<Limits> MeasureLimits(device::Device& device, const os::Clock& clock);
// Limits::reading_bytes_per_s, as it is now: other guests of the same machine read, too, and it may
// be half of it a minute later. Takes some 50 ms, and 320 MiB while it runs.
Result<double> MeasureReading(device::Device& device, const os::Clock& clock);
// The same on average from `begin` to `end`, while others read likewise. Takes its memory, 128 MiB
// or four times what the caches hold, before.
Result<double> MeasureReading(device::Device& device, const os::Clock& clock, os::TimePoint begin,
                              os::TimePoint end);

}  // namespace baton::engine
