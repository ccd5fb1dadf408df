// Splitter: the member "pre_tokenizer" of tokenizer.json. Cuts text into the pieces that the model
// encodes one by one, and rewrites them (bytes as characters, spaces as U+2581).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "base/result.h"
#include "model/tokenizer/pipeline/pattern.h"

namespace baton {

// Immutable; any thread.
class Splitter {
 public:
  Splitter() = default;  // leaves text in one piece
  // An unknown type is kUnimplemented and named.
  static Result<Splitter> FromJson(const boost::json::value& json);

  // The pieces of `text`, which must be valid UTF-8; none is empty. `first`: it begins the whole
  // text.
  Result<std::vector<std::string>> Split(std::string_view text, bool first) const;

  // Whether it writes each byte as a character (ByteCharacters()).
  bool writes_bytes() const { return writes_bytes_; }
  // Whether it writes spaces as U+2581, and puts one in front of a text.
  bool marks_spaces() const { return marks_spaces_; }
  bool adds_space() const { return adds_space_; }

 private:
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Step {
    std::function<std::string(std::string_view piece, bool first)> rewrite;  // before cutting
    std::optional<Pattern> pattern;  // what cuts, if anything
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;
    std::function<std::string(std::string_view piece)> rewrite_behind;  // after cutting
  };
  struct Piece {
    std::string text;
    bool first = false;
  };

  static Result<Behavior> BehaviorOf(const boost::json::object& fields);
  static std::vector<FoundRange> Merge(std::vector<FoundRange> ranges, Behavior behavior);
  Status Add(const boost::json::value& json, int depth);
  Status AddOne(const std::string& type, const boost::json::object& fields);
  Status AddByteLevel(const boost::json::object& fields);
  Status AddMetaspace(const boost::json::object& fields);
  void AddTest(bool (*test)(char32_t), Behavior behavior);
  static Result<std::vector<Piece>> Apply(const Step& step, std::vector<Piece> pieces);

  std::vector<Step> steps_;
  bool writes_bytes_ = false;
  bool marks_spaces_ = false;
  bool adds_space_ = false;
};

}  // namespace baton
