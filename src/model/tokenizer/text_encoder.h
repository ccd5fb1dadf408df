// What the kinds of tokenizer differ in: how text without special tokens becomes tokens, and how a
// stored token text spells bytes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/tokenizer/special_tokens.h"

namespace baton {

// A run of text between special tokens.
struct PlainText {
  std::string_view text;
  bool first = true;   // it begins the whole text
  bool starts = true;  // it begins the whole text or follows a special token
  // Where control tokens may be recognised that are matched only behind the normalizer; offsets in
  // the whole text, in which `text` begins at `offset`.
  size_t offset = 0;
  std::span<const TrustedRange> trusted;
};

// Immutable; any thread. Refers to the Vocabulary it was made for, which must outlive it.
class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  virtual Result<std::vector<TokenId>> Encode(const PlainText& text) const = 0;
  // The bytes that a normal token of this stored text stands for.
  virtual std::string Spell(std::string_view stored_text) const = 0;
  // The same for a user-defined token.
  virtual std::string SpellUserDefined(std::string_view stored_text) const {
    return std::string(stored_text);
  }
  // Whether Decode takes off a space that Encode put in front of a text.
  virtual bool AddsSpace() const = 0;
};

}  // namespace baton
