#include "model/tokenizer/pipeline/pattern.h"

#include <algorithm>

#include "model/text/utf8.h"
#include "model/tokenizer/pipeline/json_fields.h"

namespace baton {
namespace {

// Matches with what lies between them.
class Ranges {
 public:
  void AddMatch(size_t begin, size_t end) {
    FillUntil(begin);
    ranges_.push_back({begin, end, true});
    end_ = end;
  }
  std::vector<FoundRange> Finish(size_t size) && {
    FillUntil(size);
    return std::move(ranges_);
  }
  bool EndsAt(size_t position) const { return !ranges_.empty() && end_ == position; }

 private:
  void FillUntil(size_t begin) {
    if (begin > end_) ranges_.push_back({end_, begin, false});
  }
  std::vector<FoundRange> ranges_;
  size_t end_ = 0;
};

}  // namespace

Result<Pattern> Pattern::FromJson(const boost::json::object& fields) {
  const boost::json::value* value = json_fields::Find(fields, "pattern");
  if (value == nullptr) return MakeError(Code::kInvalidArgument, "'pattern' is missing");
  BATON_ASSIGN_OR_RETURN(const auto* kinds, json_fields::Object(*value, "pattern"));
  if (kinds->contains("Regex")) {
    BATON_ASSIGN_OR_RETURN(const std::string source, json_fields::String(*kinds, "Regex"));
    BATON_ASSIGN_OR_RETURN(Regex regex, Regex::FromFile(source));
    return FromRegex(std::move(regex));
  }
  BATON_ASSIGN_OR_RETURN(std::string literal, json_fields::String(*kinds, "String"));
  return FromLiteral(std::move(literal));
}

Pattern Pattern::FromRegex(Regex regex) {
  Pattern pattern;
  pattern.regex_ = std::move(regex);
  return pattern;
}

Pattern Pattern::FromTest(bool (*test)(char32_t)) {
  Pattern pattern;
  pattern.test_ = test;
  return pattern;
}

Pattern Pattern::FromLiteral(std::string literal) {
  Pattern pattern;
  pattern.literal_ = std::move(literal);
  return pattern;
}

Pattern::Finder::Finder(const Pattern& pattern, size_t text_bytes) : pattern_(pattern) {
  if (pattern.regex_) matcher_.emplace(*pattern.regex_, text_bytes);
}

Result<std::vector<FoundRange>> Pattern::Finder::FindAll(std::string_view text) {
  if (matcher_) return FindRegex(text);
  Ranges ranges;
  if (pattern_.test_ != nullptr) {
    for (size_t at = 0; at < text.size();) {
      const Utf8Character character = Utf8At(text, at);
      if (pattern_.test_(character.code_point)) ranges.AddMatch(at, at + character.length);
      at += character.length;
    }
  } else if (!pattern_.literal_.empty()) {
    const size_t length = pattern_.literal_.size();
    for (size_t at = 0; (at = text.find(pattern_.literal_, at)) != std::string_view::npos;
         at += length)
      ranges.AddMatch(at, at + length);
  }
  return std::move(ranges).Finish(text.size());
}

Result<std::vector<FoundRange>> Pattern::Finder::FindRegex(std::string_view text) {
  Ranges ranges;
  for (size_t at = 0; at <= text.size();) {
    BATON_ASSIGN_OR_RETURN(const Regex::Match match, matcher_->Find(text, at));
    if (match.begin > text.size()) break;
    const bool empty = match.begin == match.end;
    if (!empty || !ranges.EndsAt(match.begin)) ranges.AddMatch(match.begin, match.end);
    at = match.end;
    if (empty) at += at < text.size() ? Utf8At(text, at).length : 1;
  }
  return std::move(ranges).Finish(text.size());
}

}  // namespace baton
