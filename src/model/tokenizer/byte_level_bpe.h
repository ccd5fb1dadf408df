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
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/text_encoder.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

// The character (as UTF-8) by which byte-level vocabularies write each byte: itself where it is
// printable, else one of U+0100 onwards.
const std::array<std::string, 256>& ByteCharacters();

// The merges of a vocabulary: (left token, right token) -> (rank, merged token).
class MergeTable {
 public:
  struct Merge {
    TokenId left = kNoToken;
    TokenId right = kNoToken;
    uint32_t rank = 0;
    TokenId merged = kNoToken;
  };
  // Where a pair appears twice, the first counts.
  explicit MergeTable(const std::vector<Merge>& merges);
  // nullptr if the pair does not merge.
  const Merge* Find(TokenId left, TokenId right) const;

 private:
  size_t SlotOf(TokenId left, TokenId right) const;
  std::vector<Merge> slots_;  // open addressing, three quarters full
};

class ByteLevelBpeEncoder final : public TextEncoder {
 public:
  static Result<std::unique_ptr<const TextEncoder>> Create(const gguf::Metadata& metadata,
                                                           const Vocabulary& vocabulary);
  Result<std::vector<TokenId>> Encode(std::string_view text, bool starts) const override;
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
