#include "model/tokenizer/pipeline/splitter.h"

#include <algorithm>

#include "model/text/characters.h"
#include "model/text/utf8.h"
#include "model/tokenizer/byte_characters.h"
#include "model/tokenizer/pipeline/json_fields.h"

namespace baton {
namespace {

using boost::json::object;

constexpr int kDepthMax = 16;
constexpr size_t kStepsMax = 64;

// ByteLevel's own expression, GPT-2's.
constexpr std::string_view kByteLevel =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::string ReplaceAll(std::string_view text, char from, std::string_view to) {
  std::string replaced;
  for (const char c : text) {
    if (c == from)
      replaced += to;
    else
      replaced += c;
  }
  return replaced;
}

}  // namespace

Result<Splitter> Splitter::FromJson(const boost::json::value& json) {
  Splitter splitter;
  if (!json.is_null()) BATON_RETURN_IF_ERROR(splitter.Add(json, 0));
  return splitter;
}

Status Splitter::Add(const boost::json::value& json, int depth) {
  BATON_ASSIGN_OR_RETURN(const object* fields, json_fields::Object(json, "pre_tokenizer"));
  BATON_ASSIGN_OR_RETURN(const std::string type, json_fields::String(*fields, "type"));
  if (depth > kDepthMax || steps_.size() > kStepsMax)
    return MakeError(Code::kInvalidArgument, "there are too many pre-tokenizers");
  if (type != "Sequence") return AddOne(type, *fields);
  BATON_ASSIGN_OR_RETURN(const auto* items, json_fields::Array(*fields, "pretokenizers"));
  for (const auto& item : *items) BATON_RETURN_IF_ERROR(Add(item, depth + 1));
  return OkStatus();
}

Status Splitter::AddOne(const std::string& type, const object& fields) {
  if (type == "ByteLevel") return AddByteLevel(fields);
  if (type == "Metaspace") return AddMetaspace(fields);
  if (type == "Whitespace") {
    steps_.push_back({.pattern = Pattern::FromRegex(Regex::Known(R"(\w+|[^\w\s]+)")),
                      .behavior = Behavior::kRemoved,
                      .invert = true});
  } else if (type == "WhitespaceSplit") {
    AddTest(IsWhiteSpace, Behavior::kRemoved);
  } else if (type == "BertPreTokenizer") {
    AddTest(IsWhiteSpace, Behavior::kRemoved);
    AddTest(IsPunctuation, Behavior::kIsolated);
  } else if (type == "Punctuation") {
    BATON_ASSIGN_OR_RETURN(const Behavior behavior, BehaviorOf(fields));
    AddTest(IsPunctuation, behavior);
  } else if (type == "Digits") {
    BATON_ASSIGN_OR_RETURN(const bool single,
                           json_fields::BoolOr(fields, "individual_digits", false));
    AddTest(IsNumeric, single ? Behavior::kIsolated : Behavior::kContiguous);
  } else if (type == "CharDelimiterSplit") {
    BATON_ASSIGN_OR_RETURN(std::string delimiter, json_fields::String(fields, "delimiter"));
    if (CountUtf8(delimiter) != 1)
      return MakeError(Code::kInvalidArgument, "the delimiter '{}' is not one character",
                       delimiter);
    steps_.push_back(
        {.pattern = Pattern::FromLiteral(std::move(delimiter)), .behavior = Behavior::kRemoved});
  } else if (type == "Split") {
    BATON_ASSIGN_OR_RETURN(Pattern pattern, Pattern::FromJson(fields));
    BATON_ASSIGN_OR_RETURN(const Behavior behavior, BehaviorOf(fields));
    BATON_ASSIGN_OR_RETURN(const bool invert, json_fields::BoolOr(fields, "invert", false));
    steps_.push_back({.pattern = std::move(pattern), .behavior = behavior, .invert = invert});
  } else {
    return MakeError(Code::kUnimplemented, "pre-tokenizer '{}' is not supported", type);
  }
  return OkStatus();
}

Result<Splitter::Behavior> Splitter::BehaviorOf(const object& fields) {
  BATON_ASSIGN_OR_RETURN(const std::string name,
                         json_fields::StringOr(fields, "behavior", "Isolated"));
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  return MakeError(Code::kUnimplemented, "the behavior '{}' of a pre-tokenizer is not supported",
                   name);
}

void Splitter::AddTest(bool (*test)(char32_t), Behavior behavior) {
  steps_.push_back({.pattern = Pattern::FromTest(test), .behavior = behavior});
}

Status Splitter::AddByteLevel(const object& fields) {
  BATON_ASSIGN_OR_RETURN(const bool adds_space,
                         json_fields::BoolOr(fields, "add_prefix_space", true));
  BATON_ASSIGN_OR_RETURN(const bool cuts, json_fields::BoolOr(fields, "use_regex", true));
  Step step;
  if (adds_space) {
    step.rewrite = [](std::string_view piece, bool) {
      return (piece.starts_with(' ') ? "" : " ") + std::string(piece);
    };
  }
  if (cuts) step.pattern = Pattern::FromRegex(Regex::Known(kByteLevel));
  step.rewrite_behind = BytesAsCharacters;
  steps_.push_back(std::move(step));
  writes_bytes_ = true;
  adds_space_ = adds_space_ || adds_space;
  return OkStatus();
}

Status Splitter::AddMetaspace(const object& fields) {
  BATON_ASSIGN_OR_RETURN(const std::string mark,
                         json_fields::StringOr(fields, "replacement", "\u2581"));
  // Older files have a boolean, and no `split`.
  BATON_ASSIGN_OR_RETURN(const bool adds, json_fields::BoolOr(fields, "add_prefix_space", true));
  BATON_ASSIGN_OR_RETURN(
      const std::string scheme,
      json_fields::StringOr(fields, "prepend_scheme", adds ? "always" : "never"));
  BATON_ASSIGN_OR_RETURN(const bool cuts, json_fields::BoolOr(fields, "split", true));
  if (scheme != "always" && scheme != "first" && scheme != "never")
    return MakeError(Code::kInvalidArgument, "'prepend_scheme' is '{}'", scheme);
  if (CountUtf8(mark) != 1)
    return MakeError(Code::kInvalidArgument, "'replacement' is '{}', not one character", mark);
  Step step;
  step.rewrite = [mark, scheme](std::string_view piece, bool first) {
    std::string marked = ReplaceAll(piece, ' ', mark);
    const bool wanted = scheme == "always" || (scheme == "first" && first);
    return wanted && !marked.starts_with(mark) ? mark + marked : marked;
  };
  if (cuts) {
    step.pattern = Pattern::FromLiteral(mark);
    step.behavior = Behavior::kMergedWithNext;
  }
  steps_.push_back(std::move(step));
  marks_spaces_ = true;
  adds_space_ = adds_space_ || scheme != "never";
  return OkStatus();
}

// What stays of `ranges`, as pieces.
std::vector<FoundRange> Splitter::Merge(std::vector<FoundRange> ranges, Behavior behavior) {
  if (behavior == Behavior::kIsolated) return ranges;
  if (behavior == Behavior::kRemoved) {
    std::erase_if(ranges, [](const FoundRange& range) { return range.matches; });
    return ranges;
  }
  const bool backwards = behavior == Behavior::kMergedWithNext;
  if (backwards) std::reverse(ranges.begin(), ranges.end());
  std::vector<FoundRange> merged;
  bool last_matched = false;
  for (const FoundRange& range : ranges) {
    const bool joins = behavior == Behavior::kContiguous ? range.matches == last_matched
                                                         : range.matches && !last_matched;
    last_matched = range.matches;
    if (!joins || merged.empty()) {
      merged.push_back(range);
      continue;
    }
    FoundRange& last = merged.back();
    (backwards ? last.begin : last.end) = backwards ? range.begin : range.end;
  }
  if (backwards) std::reverse(merged.begin(), merged.end());
  return merged;
}

Result<std::vector<Splitter::Piece>> Splitter::Apply(const Step& step, std::vector<Piece> pieces) {
  size_t bytes = 0;
  for (Piece& piece : pieces) {
    if (step.rewrite) piece.text = step.rewrite(piece.text, piece.first);
    bytes += piece.text.size();
  }
  if (step.pattern) {
    Pattern::Finder finder(*step.pattern, bytes);
    std::vector<Piece> finer;
    for (const Piece& piece : pieces) {
      BATON_ASSIGN_OR_RETURN(std::vector<FoundRange> ranges, finder.FindAll(piece.text));
      for (FoundRange& range : ranges) range.matches = range.matches != step.invert;
      for (const FoundRange& range : Merge(std::move(ranges), step.behavior)) {
        if (range.begin == range.end) continue;
        finer.push_back({piece.text.substr(range.begin, range.end - range.begin),
                         piece.first && range.begin == 0});
      }
    }
    pieces = std::move(finer);
  }
  if (step.rewrite_behind) {
    for (Piece& piece : pieces) piece.text = step.rewrite_behind(piece.text);
  }
  return pieces;
}

Result<std::vector<std::string>> Splitter::Split(std::string_view text, bool first) const {
  std::vector<Piece> pieces;
  if (!text.empty()) pieces.push_back({std::string(text), first});
  for (const Step& step : steps_) {
    BATON_ASSIGN_OR_RETURN(pieces, Apply(step, std::move(pieces)));
  }
  std::vector<std::string> texts;
  texts.reserve(pieces.size());
  for (Piece& piece : pieces) texts.push_back(std::move(piece.text));
  return texts;
}

}  // namespace baton
