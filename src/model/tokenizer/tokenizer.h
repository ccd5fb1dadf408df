// Tokenizer: text to token ids and back, from the vocabulary in a GGUF file or from tokenizer.json
// (see tokenizer_json.h). GGUF has two kinds: "llama" (SentencePiece BPE: merges by score, byte
// fallback) and "gpt2" (byte-level BPE: a regular expression splits, then merges by rank).
//
// Control tokens (<|im_start|>, </s>, ...) steer a model, so text from a user must never become
// one. A chat prompt mixes both: it is therefore encoded as segments, each trusted or not, and a
// control token is recognised only where all of its characters are trusted. Segments change nothing
// else: merges cross their borders as if they were one string.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/gguf/metadata.h"
#include "model/tokenizer/special_tokens.h"
#include "model/tokenizer/text_encoder.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

// A piece of a prompt. Trusted text comes from the model's own template (or from the owner of the
// node); everything that arrived in a request is not.
struct PromptSegment {
  std::string text;
  bool trusted = false;
  bool operator==(const PromptSegment&) const = default;
};

struct EncodeOptions {
  bool parse_special = false;  // the text may spell control tokens: only for trusted text
  bool add_special = false;    // what the model wants around a text: BOS, EOS, [gMASK] ...
};

struct TokensAround {
  std::vector<TokenId> before;
  std::vector<TokenId> behind;
};

struct TokenizerParts {
  std::unique_ptr<const Vocabulary> vocabulary;
  std::unique_ptr<const TextEncoder> encoder;  // may refer to `vocabulary`
  SpecialTokens special;                       // those that are matched in any text as it comes
  TokensAround around;                         // with add_special
  std::vector<TokenId> more_ends;              // end a generation beside those of the vocabulary
  std::string kind;
  std::string pre_tokenizer;
};

// Immutable after construction; any thread may use one object. Move-only.
class Tokenizer {
 public:
  // Fails on a vocabulary that is unknown or does not hold together, naming what is wrong.
  static Result<Tokenizer> FromMetadata(const gguf::Metadata& metadata);
  // From parts that were made elsewhere.
  static Tokenizer FromParts(TokenizerParts parts);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Any bytes; what is not UTF-8 is encoded byte by byte. Time is O(n log n) for any input.
  // Fails only if the pre-tokenizer's own work limit is reached.
  Result<std::vector<TokenId>> Encode(std::string_view text, EncodeOptions options = {}) const;
  // A rendered chat prompt; adds no BOS or EOS (templates spell their own).
  Result<std::vector<TokenId>> Encode(std::span<const PromptSegment> prompt) const;

  // The text of a whole sequence, without control tokens unless `with_control`. The space that
  // Encode put in front, if this vocabulary does so, is taken off again. May hold invalid UTF-8 if
  // the tokens spell it.
  std::string Decode(std::span<const TokenId> tokens, bool with_control = false) const;
  // The bytes that one token adds to a text; empty for control tokens (unless `with_control`), for
  // unused ones and for ids outside the vocabulary.
  std::string Piece(TokenId token, bool with_control = false) const;

  const Vocabulary& vocabulary() const;
  int32_t vocab_size() const { return vocabulary().size(); }
  // Sorted: EOS, EOT and the control tokens by which known families end a turn (<|im_end|>,
  // <|eot_id|>, ...). Generation stops at any of them.
  const std::vector<TokenId>& end_of_generation() const;
  bool IsEndOfGeneration(TokenId token) const;
  // "llama" or "gpt2", and for gpt2 the name of its pre-tokenizer, else ""; from tokenizer.json
  // "bpe" or "unigram" and "".
  std::string_view kind() const;
  std::string_view pre_tokenizer() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

// Turns tokens into text as they come, and never gives out half a character.
class StreamDecoder {
 public:
  // `tokenizer` must outlive this object.
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // The valid UTF-8 that became complete with this token; often empty. Bytes that cannot become a
  // character come out as U+FFFD, one for each maximal invalid part (as the Unicode standard
  // recommends).
  std::string Push(TokenId token);
  // What is left: U+FFFD if the stream ended inside a character, else nothing.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;  // at most 3 bytes: the start of a character
};

}  // namespace baton
