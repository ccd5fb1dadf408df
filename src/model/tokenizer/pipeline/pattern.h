// A pattern in tokenizer.json: {"String": ...} or {"Regex": ...}, and where it is in a text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "model/tokenizer/regex.h"

namespace baton {

// Bytes [begin, end) of a text.
struct FoundRange {
  size_t begin = 0;
  size_t end = 0;
  bool matches = false;  // else it lies between matches
};

// Immutable; any thread. Move-only.
class Pattern {
 public:
  // The member "pattern" of `fields`.
  static Result<Pattern> FromJson(const boost::json::object& fields);
  static Pattern FromRegex(Regex regex);
  // Each character for which `test` holds.
  static Pattern FromTest(bool (*test)(char32_t));
  static Pattern FromLiteral(std::string literal);

  class Finder;

 private:
  Pattern() = default;
  std::optional<Regex> regex_;
  std::string literal_;
  bool (*test_)(char32_t) = nullptr;
};

// Searches that share a budget. Its Pattern must outlive it. One thread.
class Pattern::Finder {
 public:
  // For `text_bytes` of text in all.
  Finder(const Pattern& pattern, size_t text_bytes);
  // The whole of `text` (valid UTF-8), as ranges in order and without gaps. Matches may be empty.
  Result<std::vector<FoundRange>> FindAll(std::string_view text);

 private:
  Result<std::vector<FoundRange>> FindRegex(std::string_view text);
  const Pattern& pattern_;
  std::optional<Regex::Matcher> matcher_;
};

}  // namespace baton
