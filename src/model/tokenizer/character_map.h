// The character map of a SentencePiece model: a double array trie from character sequences to what
// replaces them. Formats: sentencepiece's normalizer.cc (a 32-bit size, the trie, the replacements,
// each ended by a zero byte) and darts-clone's units.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

// Immutable; any thread.
class CharacterMap {
 public:
  struct Match {
    size_t length = 0;    // bytes of the text that are replaced
    std::string_view by;  // valid UTF-8; of this object
  };

  static Result<CharacterMap> FromBytes(std::span<const uint8_t> bytes);

  // The shortest and the longest entry that `text` begins with.
  std::optional<Match> Shortest(std::string_view text) const { return Find(text, false); }
  std::optional<Match> Longest(std::string_view text) const { return Find(text, true); }

 private:
  std::optional<Match> Find(std::string_view text, bool longest) const;
  // What stands at `begin` of the replacements; nothing if that is not a text.
  std::optional<std::string_view> ReplacementAt(uint32_t begin) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace baton
