// BPE as tokenizer.json has it: the characters of a piece are symbols, neighbours merge by rank.
#pragma once

#include <optional>
#include <vector>

#include "model/tokenizer/byte_tokens.h"
#include "model/tokenizer/merge_table.h"
#include "model/tokenizer/pipeline/piece_model.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

struct BpeOptions {
  TokenId unknown = kNoToken;  // for characters that are no token; without it they vanish
  bool fuses_unknown = false;  // neighbouring unknown characters are one token
  bool byte_fallback = false;
  bool ignores_merges = false;  // a piece that is a token as a whole is not merged
};

class BpeModel final : public PieceModel {
 public:
  // `ordinary` tells for each token whether text may become it.
  BpeModel(const Vocabulary& vocabulary, std::vector<bool> ordinary, MergeTable merges,
           BpeOptions options);
  Result<std::vector<TokenId>> Encode(std::string_view piece) const override;

 private:
  TokenId Find(std::string_view text) const;

  const Vocabulary& vocabulary_;
  const std::vector<bool> ordinary_;
  const MergeTable merges_;
  const BpeOptions options_;
  const ByteTokens byte_tokens_;
};

}  // namespace baton
