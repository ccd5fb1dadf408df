// PreTokenizer: cuts text into the pieces that byte-level BPE merges within. Each model family
// published its own (pre_tokenizer_families.h); GGUF names them in tokenizer.ggml.pre.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/regex.h"

namespace baton {

// Immutable; any thread. Move-only.
class PreTokenizer {
 public:
  // An unknown name is kUnimplemented and lists those that are known. "" is GGUF's "default".
  static Result<PreTokenizer> Create(std::string_view name);
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  // The pieces of `text`, in order and without gaps. `text` must be valid UTF-8. Time is linear:
  // no expression backtracks over more than what it then consumes. kResourceExhausted if the
  // expression engine reaches its work limit.
  Result<std::vector<std::string_view>> Split(std::string_view text) const;

  // Whether a piece that is a token as a whole is taken as it is, without merging.
  bool takes_whole_pieces() const { return takes_whole_pieces_; }

 private:
  struct Step;
  PreTokenizer(std::vector<Step> steps, bool takes_whole_pieces);
  static Result<std::vector<std::string_view>> SplitAt(const Regex& expression,
                                                       const std::vector<std::string_view>& pieces,
                                                       size_t text_bytes);

  std::vector<Step> steps_;  // applied one after the other to every piece
  bool takes_whole_pieces_ = false;
};

}  // namespace baton
