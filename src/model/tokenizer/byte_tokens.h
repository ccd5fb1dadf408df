// The tokens "<0x00>" to "<0xFF>", to which a model falls back for characters that it has not.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "model/tokenizer/vocabulary.h"

namespace baton {

// The byte that a token of this text stands for, or -1.
int ByteOfToken(std::string_view text);

class ByteTokens {
 public:
  explicit ByteTokens(const Vocabulary& vocabulary);
  // One token for each byte; nothing if the vocabulary lacks one of them.
  std::optional<std::vector<TokenId>> Spell(std::string_view bytes) const;

 private:
  std::array<TokenId, 256> tokens_;
};

}  // namespace baton
