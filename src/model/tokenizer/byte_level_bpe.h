// Byte-level BPE ("gpt2" in GGUF): a pre-tokenizer cuts the text, every byte is a symbol, and pairs
// merge in the order in which training found them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf/metadata.h"
#include "model/tokenizer/merge_table.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/text_encoder.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

class ByteLevelBpeEncoder final : public TextEncoder {
 public:
  static Result<std::unique_ptr<const TextEncoder>> Create(const gguf::Metadata& metadata,
                                                           const Vocabulary& vocabulary);
  Result<std::vector<TokenId>> Encode(const PlainText& plain) const override;
  std::string Spell(std::string_view stored_text) const override;
  bool AddsSpace() const override { return adds_space_; }

 private:
  ByteLevelBpeEncoder(const Vocabulary& vocabulary, PreTokenizer pre_tokenizer, MergeTable merges,
                      bool adds_space);
  // The token that `piece` is as a whole, or kNoToken.
  TokenId FindWhole(std::string_view piece) const;
  std::vector<TokenId> EncodePiece(std::string_view piece) const;

  const Vocabulary& vocabulary_;
  const PreTokenizer pre_tokenizer_;
  const MergeTable merges_;
  const bool adds_space_;
  std::array<TokenId, 256> byte_tokens_;
};

}  // namespace baton
