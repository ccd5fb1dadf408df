// ForwardPass: what a family implements. One file per family under families/, straight-line code
// over device::Device.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "engine/cached_attention.h"
#include "engine/stage.h"

namespace baton::engine {

// Scratch memory of a family; each defines its own.
struct Scratch {
  virtual ~Scratch() = default;
};

// Rows of one pass, checked: a token each, of one sequence or of several.
struct PassInput {
  LayerRange layers;
  std::span<const int> positions;       // of each row in its sequence
  std::span<const TokenId> tokens;      // where layers.first == 0, else empty
  std::span<const float> activations;   // [row][hidden] where layers.first > 0, else empty
  size_t logit_rows = 0;                // how many of the last rows want logits
  std::span<const uint8_t> turns_long;  // of each row: ModelSpec::TurnsLong(its text)
};

// Immutable weights of a range of layers and how to run them.
class ForwardPass {
 public:
  virtual ~ForwardPass() = default;
  virtual uint64_t weight_bytes() const = 0;
  // For passes of at most `rows_max` rows, `logit_rows_max` of them with logits.
  virtual Result<std::unique_ptr<Scratch>> NewScratch(device::Device& device, int rows_max,
                                                      int logit_rows_max) const = 0;
  // `scratch` comes from this object's NewScratch(). Fails only as the hooks behind `attention` do.
  virtual Result<StageOutput> Run(const PassInput& input, device::Device& device,
                                  CachedAttention& attention, Scratch& scratch) const = 0;
};

}  // namespace baton::engine
