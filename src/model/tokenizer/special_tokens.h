// Finds the tokens that are matched whole, before any other rule: control tokens and user-defined
// ones. Leftmost first, then longest.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

// A run of text, or one token that was matched whole.
struct TextFragment {
  std::string_view text;
  TokenId token = kNoToken;  // kNoToken: `text` is still to be encoded
};

// Bytes [begin, end) of a text in which control tokens may be recognised.
struct TrustedRange {
  size_t begin = 0;
  size_t end = 0;
};

// Longer special tokens than this are never matched: it bounds the work for one byte of text.
inline constexpr size_t kSpecialTokenBytesMax = 256;

struct SpecialToken {
  std::string text;
  TokenId id = kNoToken;
  bool control = false;
  bool takes_spaces_before = false;
  bool takes_spaces_behind = false;
  bool whole_words = false;  // not between word characters
};

// Read-only after construction; any thread.
class SpecialTokens {
 public:
  SpecialTokens() = default;
  // Of two tokens with one text the first counts; those without text never match.
  template <typename Tokens>
  explicit SpecialTokens(const Tokens& tokens) {
    size_t bytes = 0;
    for (const SpecialToken& token : tokens) bytes += token.text.size();
    Reserve(tokens.size(), bytes);
    for (const SpecialToken& token : tokens) Add(token);
    Sort();
  }
  // All control, unknown and user-defined tokens of a vocabulary, of which the last hold
  // SentencePiece's mark for each space where it `marks_spaces`.
  static SpecialTokens Of(const Vocabulary& vocabulary, bool marks_spaces);
  // These, and behind them a vocabulary's tokens of one type.
  SpecialTokens With(const Vocabulary& vocabulary, TokenType type, bool marks_spaces = false) &&;

  bool empty() const { return tokens_.empty(); }
  bool has_control() const;
  // Cuts `text` at its special tokens. A control token counts only inside one of `trusted`, which
  // are sorted and do not touch; a user-defined token counts everywhere.
  std::vector<TextFragment> Split(std::string_view text,
                                  std::span<const TrustedRange> trusted) const;

 private:
  // A file can have a million of them, hence the small ones.
  struct Stored {
    uint32_t begin = 0;  // in texts_
    uint16_t length = 0;
    bool control : 1 = false;
    bool takes_spaces_before : 1 = false;
    bool takes_spaces_behind : 1 = false;
    bool whole_words : 1 = false;
    TokenId id = kNoToken;
  };
  struct Match {
    const Stored* token = nullptr;
    size_t begin = 0;  // with the white space that it takes
    size_t end = 0;
    size_t next = 0;  // where to go on if it does not count
  };
  void Reserve(size_t more_tokens, size_t more_bytes);
  void Add(const SpecialToken& token);
  void Add(std::string_view text, Stored token);
  void Sort();
  std::string_view TextOf(const Stored& token) const {
    return std::string_view(texts_).substr(token.begin, token.length);
  }
  Match LongestAt(std::string_view text, size_t position, size_t trusted_end) const;
  // With white space; without a token if it is part of a word and must not be.
  Match Widened(Match match, std::string_view text, size_t begin_min) const;

  std::string texts_;
  std::vector<Stored> tokens_;  // sorted by text
  std::array<bool, 256> can_begin_{};
};

}  // namespace baton
