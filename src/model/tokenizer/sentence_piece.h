// SentencePiece's way from text to tokens: its normalizer, then one of its models over the whole
// text. From GGUF ("llama" is BPE, "t5" Unigram) or tokenizer.model.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf/metadata.h"
#include "model/tokenizer/pipeline/piece_model.h"
#include "model/tokenizer/sentence_piece_normalizer.h"
#include "model/tokenizer/text_encoder.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

struct SentencePieceParts {
  SentencePieceRules rules;
  std::unique_ptr<const PieceModel> model;
  // Whether tokens that the rules keep are cut out before the model sees the text.
  bool cuts_at_kept = false;
  // Whether a space is put in front of the whole text only, and not behind each special token.
  bool space_only_first = false;
};

class SentencePieceEncoder final : public TextEncoder {
 public:
  explicit SentencePieceEncoder(SentencePieceParts parts);
  // tokenizer.ggml.{add_space_prefix, remove_extra_whitespaces, precompiled_charsmap}.
  static Result<std::unique_ptr<const TextEncoder>> Create(const gguf::Metadata& metadata,
                                                           const Vocabulary& vocabulary);
  Result<std::vector<TokenId>> Encode(const PlainText& plain) const override;
  std::string Spell(std::string_view stored_text) const override;
  std::string SpellUserDefined(std::string_view stored_text) const override {
    return Spell(stored_text);
  }
  bool AddsSpace() const override { return normalizer_.rules().adds_space; }

 private:
  const SentencePieceNormalizer normalizer_;
  const std::unique_ptr<const PieceModel> model_;
  const bool cuts_at_kept_;
  const bool space_only_first_;
};

// SentencePiece's Unigram: user-defined tokens win by their score.
std::unique_ptr<const PieceModel> MakeSentencePieceUnigram(const Vocabulary& vocabulary,
                                                           bool byte_fallback);

}  // namespace baton
