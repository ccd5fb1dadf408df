// SentencePiece BPE ("llama" in GGUF): characters are merged by the score of the token they form;
// characters outside the vocabulary become byte tokens.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf/metadata.h"
#include "model/tokenizer/text_encoder.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

class SentencePieceEncoder final : public TextEncoder {
 public:
  static Result<std::unique_ptr<const TextEncoder>> Create(const gguf::Metadata& metadata,
                                                           const Vocabulary& vocabulary);
  Result<std::vector<TokenId>> Encode(const PlainText& plain) const override;
  std::string Spell(std::string_view stored_text) const override;
  bool AddsSpace() const override { return adds_space_; }

 private:
  SentencePieceEncoder(const Vocabulary& vocabulary, bool adds_space);
  // kNoToken for texts that are no ordinary token.
  TokenId FindOrdinary(std::string_view text) const;

  const Vocabulary& vocabulary_;
  const bool adds_space_;
  std::array<TokenId, 256> byte_tokens_;  // "<0x00>" ...; the unknown token where there is none
};

}  // namespace baton
