// Synthetic models: random weights in the shapes of real models, for measuring and testing where
// the real files are not at hand. Activations stay finite, and greedy output depends on the prompt;
// it means nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/synthetic_shape.h"
#include "model/checkpoint.h"
#include "model/model.h"
#include "model/spec.h"

namespace baton::hub {

// Every weight type, and the mixtures Q4_K_M and Q5_K_M.
const std::vector<std::string>& SyntheticTypes();

struct SyntheticOptions {
  SyntheticShape shape;
  std::string type = "Q4_0";  // one of SyntheticTypes()
  uint64_t seed = 1;
};

// "SHAPE" or "SHAPE:TYPE" as ParseShape() has the shape, in F16 (gpt-oss: MXFP4) where no type is
// said.
Result<SyntheticOptions> ParseShapeAndType(std::string_view text);

// Writes a GGUF file. The same options give the same bytes on every machine.
Status WriteSyntheticModel(const std::string& path, const SyntheticOptions& options);

// What would be in that file, weights aside: enough to plan with a model that nobody here has.
struct SyntheticOutline {
  ModelSpec spec;
  std::vector<TensorInfo> tensors;  // sorted by name
};
Result<SyntheticOutline> OutlineOf(const SyntheticOptions& options);

// The same as a model, with its vocabulary, for devices that look at no weights: reading one is an
// error. Its fingerprint is that of its header.
Result<std::shared_ptr<const Model>> OpenShape(const SyntheticOptions& options);

}  // namespace baton::hub
