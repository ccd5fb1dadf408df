// The tokenizer and the chat template of a checkpoint, wherever its files keep them.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/tokenizer/tokenizer_json.h"

namespace baton {

// `vocab_size` is the number of rows of the embedding, or 0 where that does not matter. Fails where
// the vocabulary does not fit it.
Result<HubTokenizer> OpenTokenizer(const Checkpoint& checkpoint, int32_t vocab_size = 0);

}  // namespace baton
