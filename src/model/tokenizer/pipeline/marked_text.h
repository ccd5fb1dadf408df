// A text on its way through a normalizer, with what is trusted of it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/special_tokens.h"

namespace baton {

// What a normalizer may make of a text. (A ligature of 3 bytes can become 33.)
inline size_t NormalizedBytesMax(size_t bytes) {
  return 16 * bytes + (64 << 10);
}

// Bytes [begin, end) of a text become `by`.
struct TextEdit {
  size_t begin = 0;
  size_t end = 0;
  std::string by;
};

struct MarkedText {
  std::string bytes;
  std::string trust;  // for each byte 1 (trusted) or 0; empty: nobody asks

  // `edits` are in order and do not overlap. What replaces bytes is trusted if all of them were.
  // kResourceExhausted if that would be more than `bytes_max` bytes.
  Result<MarkedText> Edited(const std::vector<TextEdit>& edits, size_t bytes_max) const;
  std::vector<TrustedRange> TrustedRanges() const;
};

}  // namespace baton
