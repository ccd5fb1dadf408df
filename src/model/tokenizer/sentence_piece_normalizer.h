// What SentencePiece does to a text before its model sees it: characters are mapped, runs of white
// space shrink, spaces become U+2581, one is put in front. Source: sentencepiece's normalizer.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/tokenizer/character_map.h"
#include "model/tokenizer/special_tokens.h"

namespace baton {

inline constexpr std::string_view kSpaceMark = "\u2581";

struct SentencePieceRules {
  std::optional<CharacterMap> characters;
  SpecialTokens kept;  // user-defined tokens, whose characters are not mapped
  bool adds_space = true;
  bool removes_extra_spaces = false;  // leading, trailing and repeated ones
};

// Immutable; any thread.
class SentencePieceNormalizer {
 public:
  explicit SentencePieceNormalizer(SentencePieceRules rules) : rules_(std::move(rules)) {}
  // Any bytes; what is not UTF-8 stays. `adds_space` is asked beside the rule of that name.
  // kResourceExhausted if the text grows too much.
  Result<std::string> Apply(std::string_view text, bool adds_space) const;
  const SentencePieceRules& rules() const { return rules_; }

 private:
  class Writer;
  Status Write(std::string_view text, Writer& writer) const;

  const SentencePieceRules rules_;
};

}  // namespace baton
