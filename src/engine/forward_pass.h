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

// Immutable weights of a range of layers and how to run them.
class ForwardPass {
 public:
  virtual ~ForwardPass() = default;
  virtual uint64_t weight_bytes() const = 0;
  // For runs of at most `tokens_max` tokens.
  virtual Result<std::unique_ptr<Scratch>> NewScratch(device::Device& device,
                                                      int tokens_max) const = 0;
  // `input` has been checked; `scratch` comes from this object's NewScratch(). Fails only as the
  // hooks behind `attention` do.
  virtual Result<StageOutput> Run(const StageInput& input, device::Device& device,
                                  CachedAttention& attention, Scratch& scratch) const = 0;
};

}  // namespace baton::engine
