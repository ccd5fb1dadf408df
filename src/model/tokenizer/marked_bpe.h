// BPE by rank over characters, with spaces as U+2581 and byte tokens for what has no token: GGUF's
// "gemma4", and "gpt2" of the families that mark spaces. As tokenizer.json has Gemma's.
#pragma once

#include <memory>

#include "model/gguf/metadata.h"
#include "model/tokenizer/text_encoder.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

Result<std::unique_ptr<const TextEncoder>> MakeMarkedBpe(const gguf::Metadata& metadata,
                                                         const Vocabulary& vocabulary);

}  // namespace baton
