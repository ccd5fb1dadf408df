// Vocabulary: the tokens of a model, with their texts, types and roles; no algorithm.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/gguf/metadata.h"

namespace baton {

// The numbers are GGUF's.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,  // matched whole in any text, before all else
  kUnused = 5,
  kByte = 6,
};

inline constexpr TokenId kNoToken = -1;
inline constexpr int64_t kVocabularySizeMax = 4 << 20;

// What a vocabulary is made of where it does not come from a GGUF file.
struct VocabularyParts {
  std::string texts;              // one behind the other, by id
  std::vector<uint32_t> offsets;  // in `texts`, one more than there are tokens
  std::vector<TokenType> types;
  std::vector<float> scores;  // as many, or none
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  TokenId unknown = kNoToken;
  bool adds_bos = false;
  bool adds_eos = false;
};

// Read-only after construction; any thread. An `id` given to it must be in [0, size()).
class Vocabulary {
 public:
  // CHECKs that the parts fit together.
  static Vocabulary FromParts(VocabularyParts parts);
  // Reads tokenizer.ggml.{tokens, scores, token_type, *_token_id, add_bos_token, add_eos_token}.
  static Result<Vocabulary> FromMetadata(const gguf::Metadata& metadata);

  int32_t size() const { return static_cast<int32_t>(types_.size()); }
  // Of all texts together.
  size_t text_bytes() const { return arena_.size(); }
  bool Contains(TokenId id) const { return id >= 0 && id < size(); }
  // As the file stores it: SentencePiece with U+2581 for spaces, byte-level BPE with its byte
  // characters, control and user-defined tokens as they are.
  std::string_view TextOf(TokenId id) const;
  TokenType TypeOf(TokenId id) const { return types_[static_cast<size_t>(id)]; }
  // SentencePiece score; 0 where the file has none.
  float ScoreOf(TokenId id) const { return scores_.empty() ? 0 : scores_[static_cast<size_t>(id)]; }
  // The token of exactly that stored text (the first, if a file has two), or kNoToken.
  TokenId Find(std::string_view stored_text) const;
  // Likewise, and quicker where it is `guess`, which need not be a token.
  TokenId Find(std::string_view stored_text, TokenId guess) const;
  // Whether two tokens have one text, which is not empty; Find() gives the first.
  bool repeats_texts() const { return repeats_texts_; }

  // kNoToken where the vocabulary has none.
  TokenId bos() const { return bos_; }
  TokenId eos() const { return eos_; }
  TokenId eot() const { return eot_; }
  TokenId unknown() const { return unknown_; }
  bool adds_bos() const { return adds_bos_; }
  bool adds_eos() const { return adds_eos_; }

 private:
  Vocabulary() = default;
  Status ReadTokens(const gguf::Metadata& metadata);
  Status ReadScores(const gguf::Metadata& metadata);
  Status ReadTypes(const gguf::Metadata& metadata);
  Status ReadRoles(const gguf::Metadata& metadata);
  Result<TokenId> Role(const gguf::Metadata& metadata, std::string_view name,
                       TokenId otherwise) const;
  void BuildIndex();
  size_t SlotOf(std::string_view text, size_t hash) const;

  std::string arena_;              // all texts, one behind the other
  std::vector<uint32_t> offsets_;  // size() + 1 of them
  std::vector<TokenType> types_;
  std::vector<float> scores_;
  // Open addressing over the texts, three quarters full: of each a token, and above it some bits of
  // its text's hash, which tell nearly all others apart without a look at their texts.
  std::vector<uint32_t> slots_;
  bool repeats_texts_ = false;
  TokenId bos_ = kNoToken;
  TokenId eos_ = kNoToken;
  TokenId eot_ = kNoToken;
  TokenId unknown_ = kNoToken;
  bool adds_bos_ = false;
  bool adds_eos_ = false;
};

}  // namespace baton
