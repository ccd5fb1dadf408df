// The llama family in GGUF: Llama 2 and 3.x, Mistral, TinyLlama and the many that share their
// shape.
#pragma once

#include "base/result.h"
#include "model/gguf/reader.h"
#include "model/spec.h"

namespace baton {

// Keys `llama.*` and tensors as model.h lists them. Refuses what the family's forward pass would
// ignore: experts, YaRN, tensors of other models inside a layer.
Result<ModelSpec> ReadLlamaSpec(const gguf::File& file);

}  // namespace baton
