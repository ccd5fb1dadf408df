// The character map of a SentencePiece model, as tokenizer.json holds it ("Precompiled"): a double
// array trie from character sequences to what replaces them. Formats: sentencepiece's normalizer.cc
// (a 32-bit size, the trie, the replacements, each ended by a zero byte) and darts-clone's units.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/pipeline/marked_text.h"

namespace baton {

// Immutable; any thread.
class Precompiled {
 public:
  static Result<Precompiled> FromBase64(std::string_view blob);
  // As the `tokenizers` library applies it: to each grapheme cluster of less than six bytes as a
  // whole (by the shortest entry that begins it), else to each of its characters.
  std::vector<TextEdit> Edits(std::string_view text) const;

 private:
  // What the shortest entry that begins `text` says.
  std::optional<std::string_view> Find(std::string_view text) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace baton
