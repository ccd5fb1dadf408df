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

struct TypeLimits {
  DType type = DType::kF32;
  double matrix_flops_per_s = 0;  // products with 512 tokens; multiply and add count as two
  double read_bytes_per_s = 0;    // products with one token: bytes of weights per second
};

// Of one KvType.
struct AttentionLimits {
  KvType type = KvType::kF16;
  double flops_per_s = 0;       // 512 queries over 2048 keys, 4 per (query width, key)
  double read_bytes_per_s = 0;  // one query over 2048 keys: bytes of K and V per second
};

struct Limits {
  device::Peaks peaks;
  std::vector<TypeLimits> types;
  std::vector<AttentionLimits> attention;  // F16 first
  double layer_overhead_us = 0;            // a decode step's cost per layer that no byte explains
};

// Uses the device alone for about six seconds. Takes about 400 MiB while it runs.
Result<Limits> MeasureLimits(device::Device& device, const os::Clock& clock);

}  // namespace baton::engine
