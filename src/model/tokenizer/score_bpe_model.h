// SentencePiece's BPE: characters are merged by the score of the token they form.
#pragma once

#include <vector>

#include "model/tokenizer/byte_tokens.h"
#include "model/tokenizer/pipeline/piece_model.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

class ScoreBpeModel final : public PieceModel {
 public:
  // With `byte_fallback`, characters outside the vocabulary become byte tokens; else, or where one
  // of those is missing, a run of them becomes the unknown token, if there is one.
  ScoreBpeModel(const Vocabulary& vocabulary, bool byte_fallback)
      : vocabulary_(vocabulary), byte_fallback_(byte_fallback), byte_tokens_(vocabulary) {}
  Result<std::vector<TokenId>> Encode(std::string_view piece) const override;

 private:
  // kNoToken for texts that no text may become.
  TokenId FindOrdinary(std::string_view text) const;

  const Vocabulary& vocabulary_;
  const bool byte_fallback_;
  const ByteTokens byte_tokens_;
};

}  // namespace baton
