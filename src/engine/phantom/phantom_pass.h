// The forward pass of all families on a phantom device: what it does to the KV cache is what theirs
// does, it takes the time that the cost model says, and its logits name one token that depends on
// all tokens before it.
#pragma once

#include <memory>

#include "engine/forward_pass.h"
#include "model/model.h"
#include "plan/profile.h"

namespace baton::engine {

// `options.phantom` is set, and the device that will run it is a PhantomDevice.
Result<std::unique_ptr<ForwardPass>> MakePhantomPass(const Model& model, LayerRange layers,
                                                     const StageOptions& options,
                                                     uint64_t weight_bytes);

}  // namespace baton::engine
