// DeepSeek V2, V2-Lite, V3 and R1.
#pragma once

#include <memory>

#include "engine/forward_pass.h"
#include "engine/weights.h"
#include "model/spec.h"

namespace baton::engine {

// Loads `layers` through `loader`: the embedding only with layer 0, the final norm and the head
// only with the last layer.
Result<std::unique_ptr<ForwardPass>> LoadDeepSeek(const ModelSpec& spec, LayerRange layers,
                                                  WeightLoader& loader);

}  // namespace baton::engine
