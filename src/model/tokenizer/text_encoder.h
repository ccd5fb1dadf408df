// What the two kinds of tokenizer differ in: how text without special tokens becomes tokens, and
// how a stored token text spells bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace baton {

// Immutable; any thread. Refers to the Vocabulary it was made for, which must outlive it.
class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  // `starts` tells that `text` begins the whole text or follows a special token.
  virtual Result<std::vector<TokenId>> Encode(std::string_view text, bool starts) const = 0;
  // The bytes that a normal token of this stored text stands for.
  virtual std::string Spell(std::string_view stored_text) const = 0;
  // Whether Encode puts a space in front of a text.
  virtual bool AddsSpace() const = 0;
};

}  // namespace baton
