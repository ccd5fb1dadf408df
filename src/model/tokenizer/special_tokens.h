// Finds the tokens that are matched whole, before any other rule: control tokens and user-defined
// ones. Leftmost first, then longest.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
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

// Read-only after construction; any thread.
class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& vocabulary);

  // Cuts `text` at its special tokens. A control token counts only inside one of `trusted`, which
  // are sorted and do not touch; a user-defined token counts everywhere.
  std::vector<TextFragment> Split(std::string_view text,
                                  std::span<const TrustedRange> trusted) const;

 private:
  struct Match {
    TokenId token = kNoToken;
    size_t length = 0;
  };
  struct Node {
    TokenId token = kNoToken;
    bool control = false;
  };
  void Insert(std::string_view text, TokenId token, bool control);
  Match LongestAt(std::string_view text, size_t position, size_t trusted_end) const;

  std::vector<Node> nodes_;                          // nodes_[0] is the root
  std::unordered_map<uint64_t, uint32_t> children_;  // node * 256 + byte -> node
  std::array<bool, 256> can_begin_{};
};

}  // namespace baton
