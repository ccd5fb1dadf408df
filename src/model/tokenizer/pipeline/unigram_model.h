// Unigram: of all ways to cut a piece into tokens, the one whose scores have the largest sum.
#pragma once

#include <optional>
#include <vector>

#include "model/tokenizer/byte_tokens.h"
#include "model/tokenizer/pipeline/piece_model.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

struct UnigramOptions {
  TokenId unknown = kNoToken;
  bool byte_fallback = false;
  // Below which the unknown token scores; the lowest of all scores where it is absent.
  std::optional<double> lowest_score;
  // What each byte of a user-defined token scores, where the vocabulary has the scores.
  float user_defined_score = 0;
};

// Longer tokens are refused: it bounds the work for one byte of text.
inline constexpr size_t kUnigramTokenBytesMax = 256;

class UnigramModel final : public PieceModel {
 public:
  // Whether no token is too long.
  static Status CheckTexts(const Vocabulary& vocabulary);
  // `scores` of the first tokens of `vocabulary`, or none: then they are the vocabulary's own.
  // `ordinary` as in BpeModel, of all.
  UnigramModel(const Vocabulary& vocabulary, std::vector<bool> ordinary, std::vector<double> scores,
               UnigramOptions options);
  // Fails on a character without a token if there is no unknown token.
  Result<std::vector<TokenId>> Encode(std::string_view piece) const override;

 private:
  struct Node {  // the best way to an end
    double score = 0;
    int32_t begin = -1;  // of its last token
    TokenId token = kNoToken;
  };
  double ScoreOf(TokenId id) const;
  Result<std::vector<Node>> BestWays(std::string_view piece) const;
  // The tokens that `text` begins with, from short to long.
  std::vector<TokenId> TokensAtBeginOf(std::string_view text) const;
  std::vector<TokenId> SpellUnknown(std::string_view text) const;

  const Vocabulary& vocabulary_;
  const std::vector<double> scores_;
  const UnigramOptions options_;
  const ByteTokens byte_tokens_;
  std::vector<TokenId> sorted_;  // the tokens that text may become, by text
  double unknown_score_ = 0;
};

}  // namespace baton
