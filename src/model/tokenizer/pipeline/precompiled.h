// The normalizer "Precompiled": a SentencePiece model's character map as tokenizer.json holds it.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/character_map.h"
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
  explicit Precompiled(CharacterMap map) : map_(std::move(map)) {}
  CharacterMap map_;
};

}  // namespace baton
