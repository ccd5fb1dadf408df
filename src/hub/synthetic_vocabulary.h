// The vocabulary of synthetic models.
#pragma once

#include <cstdint>

#include "model/gguf/writer.h"

namespace baton::hub {

inline constexpr int32_t kControlTokens = 5;
// Bytes and control tokens.
inline constexpr int32_t kVocabularyMin = 256 + kControlTokens;

// `size` tokens, at least kVocabularyMin, and a chat template.
void AddSyntheticVocabulary(int32_t size, gguf::HeaderBuilder& header);

}  // namespace baton::hub
