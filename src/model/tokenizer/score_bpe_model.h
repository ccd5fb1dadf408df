// SentencePiece's BPE: characters are merged by the score of the token they form. Unused tokens are
// stations on the way: what ends as one falls apart again.
#pragma once

#include <string_view>
#include <unordered_map>
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
  // Of the text of an unused token how long the left one of its two parts is.
  using Joints = std::unordered_map<std::string_view, size_t>;

  // kNoToken for texts that no text may become, nor be on its way to another.
  TokenId FindMergeable(std::string_view text) const;
  bool IsUnused(TokenId id) const;
  // What is left of a text when all is merged.
  std::vector<std::string_view> Pieces(std::string_view text) const;
  // A piece, or of an unused token the parts that are none.
  std::vector<std::string_view> Parts(std::string_view piece, const Joints& joints) const;

  const Vocabulary& vocabulary_;
  const bool byte_fallback_;
  const ByteTokens byte_tokens_;
};

}  // namespace baton
