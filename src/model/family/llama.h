// The llama family in GGUF: Llama 2 and 3.x, Mistral, Mixtral, Qwen2, Qwen3, Qwen3-MoE, Phi-3 and
// the many that share their shape: norms before attention and before a gated feed-forward, dense or
// of experts; grouped queries, rotary positions.
#pragma once

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/spec.h"

namespace baton {

// Keys `ARCHITECTURE.*`, `architecture` one of llama, mistral3, qwen2, qwen3, qwen3moe, phi3, and
// tensors as model.h lists them. Refuses what the family's forward pass would ignore: tensors of
// other models inside a layer.
Result<ModelSpec> ReadLlamaSpec(const Checkpoint& checkpoint, std::string_view architecture);

}  // namespace baton
