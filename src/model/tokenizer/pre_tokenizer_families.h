// How the model families cut text, under the names that GGUF has for them in tokenizer.ggml.pre.
// The expressions are those of the models' own tokenizer files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

// Runs of digits that are cut into threes, counted from their ends, which expressions say in
// quadratic time.
enum class Threes {
  kNone,
  kDecimals,        // category Nd
  kDecimalsOfWord,  // the same, where the run ends at the border of a word; and at its ends
  kNumbers,         // category N; and at its ends
};

// One way of cutting: an expression, or threes.
struct Cut {
  constexpr Cut() = default;
  constexpr Cut(const char* e) : expression(e) {}  // NOLINT: implicit by design
  constexpr Cut(Threes t) : threes(t) {}           // NOLINT: implicit by design
  const char* expression = nullptr;
  Threes threes = Threes::kNone;
};

struct PreTokenizerFamily {
  std::vector<Cut> cuts;            // applied one after the other to every piece
  bool takes_whole_pieces = false;  // a piece that is a token as a whole is not merged
  bool adds_bos = false;            // where a file does not say
  bool marks_spaces = false;        // as U+2581, and no bytes as characters: see marked_bpe.h
};

// Nothing for unknown names. "" is GGUF's "default".
std::optional<PreTokenizerFamily> FindPreTokenizerFamily(std::string_view name);
// "default, llama-bpe, ..."
std::string PreTokenizerNames();

}  // namespace baton
