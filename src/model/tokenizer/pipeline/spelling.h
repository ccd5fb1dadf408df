// Spelling: the member "decoder" of tokenizer.json, as far as it works on single tokens: what bytes
// a token stands for.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/value.hpp>

#include "base/result.h"

namespace baton {

// Immutable; any thread.
class Spelling {
 public:
  // An unknown type is kUnimplemented and named.
  static Result<Spelling> FromJson(const boost::json::value& json);
  // For files without a decoder.
  static Spelling OfBytes();
  static Spelling OfSpaceMarks(bool strips_space);

  std::string Spell(std::string_view stored_text) const;
  // Whether "<0x0A>" spells that byte.
  bool byte_fallback() const { return byte_fallback_; }
  // Whether one space is taken off the beginning of a text.
  bool strips_space() const { return strips_space_; }

 private:
  Status Add(const boost::json::value& json, int depth);
  Status AddStrip(const boost::json::object& fields);
  Status AddReplace(const boost::json::object& fields);
  Status AddMetaspace(const boost::json::object& fields);

  std::vector<std::pair<std::string, std::string>> replacements_;
  bool bytes_as_characters_ = false;
  bool byte_fallback_ = false;
  bool strips_space_ = false;
};

}  // namespace baton
