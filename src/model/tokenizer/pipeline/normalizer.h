// Normalizer: what tokenizer.json does to a text before anything else. Every kind but BERT's.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "base/result.h"
#include "model/tokenizer/pipeline/marked_text.h"

namespace baton {

// Immutable; any thread.
class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // The member "normalizer". An unknown type is kUnimplemented and named.
  static Result<Normalizer> FromJson(const boost::json::value& json);

  // `text` must be valid UTF-8. Where it is not the beginning of a run of text between special
  // tokens (`begins`), nothing is put in front.
  Result<MarkedText> Apply(MarkedText text, bool begins) const;
  bool empty() const { return steps_.empty(); }

 private:
  struct Step {
    std::function<Result<std::vector<TextEdit>>(std::string_view text)> edits;
    bool only_at_begin = false;
  };
  Status Add(const boost::json::value& json, int depth);

  std::vector<Step> steps_;
};

}  // namespace baton
