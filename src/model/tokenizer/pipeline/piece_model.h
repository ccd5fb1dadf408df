// What turns a piece of text into tokens: the member "model" of tokenizer.json.
#pragma once

#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace baton {

// Immutable; any thread. Refers to the Vocabulary it was made for.
class PieceModel {
 public:
  virtual ~PieceModel() = default;
  // Any bytes; what is not UTF-8 is unknown, byte by byte where the model falls back to bytes.
  virtual Result<std::vector<TokenId>> Encode(std::string_view piece) const = 0;
};

}  // namespace baton
