#include "model/tokenizer/pipeline/tokenizer_document.h"

#include <algorithm>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>

#include "base/log.h"
#include "model/tokenizer/pipeline/json_fields.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {
namespace {

using boost::system::error_code;

constexpr size_t kDepthMax = 64;
// A value takes 24 bytes, and its name in an object about as many. Honest files have one in 14 to
// 30 bytes of text, and are small or mostly vocabulary.
constexpr size_t kTreeValuesMin = 16 << 10;
constexpr size_t kTreeBytesPerValue = 24;
constexpr size_t kMergesMax = 16 << 20;
constexpr size_t kFileBytesMax = 1u << 30;
constexpr size_t kShownBytesMax = 32;

// What Boost.JSON's parser calls. Returning false ends the parse.
class Handler {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;

  Handler(bool tokenizer, size_t values_max) : tokenizer_(tokenizer), values_max_(values_max) {}

  TokenizerDocument Take() && {
    document_.rest = std::move(stack_.release().as_object());
    // Growing by doubling, each may have taken twice what it needs.
    document_.texts.shrink_to_fit();
    document_.vocabulary.shrink_to_fit();
    document_.merges.shrink_to_fit();
    document_.merge_texts.shrink_to_fit();
    return std::move(document_);
  }
  const std::string& message() const { return message_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

  bool on_object_begin(error_code& error) { return Begin(true, error); }
  bool on_array_begin(error_code& error) { return Begin(false, error); }
  bool on_object_end(size_t count, error_code& error) { return End(true, count, error); }
  bool on_array_end(size_t count, error_code& error) { return End(false, count, error); }

  bool on_key_part(std::string_view part, size_t, error_code&) {
    text_ += part;
    return true;
  }
  bool on_key(std::string_view part, size_t, error_code& error) {
    text_ += part;
    if (part_ == Part::kVocabulary) return OnVocabularyKey(error);
    if (part_ == Part::kMerges) return Fail("a merge is an object", error);
    if (depth_ == 1) top_key_ = text_;
    if (depth_ == 2) key_ = text_;
    stack_.push_key(text_);
    text_.clear();
    return true;
  }
  bool on_string_part(std::string_view part, size_t, error_code&) {
    text_ += part;
    return true;
  }
  bool on_string(std::string_view part, size_t, error_code& error) {
    text_ += part;
    if (part_ == Part::kVocabulary) return OnVocabularyString(error);
    if (part_ == Part::kMerges) return OnMergeString(error);
    stack_.push_string(text_);
    text_.clear();
    return Count(error);
  }
  bool on_number_part(std::string_view, error_code&) { return true; }
  bool on_int64(int64_t number, std::string_view, error_code& error) {
    if (part_ == Part::kVocabulary && is_object_) return OnVocabularyId(number, error);
    return on_double(static_cast<double>(number), number, error);
  }
  bool on_uint64(uint64_t number, std::string_view, error_code& error) {
    if (part_ == Part::kVocabulary && is_object_)
      return Fail(fmt::format("token '{}' has id {}", Last(), number), error);
    if (part_ != Part::kRest) return on_double(static_cast<double>(number), {}, error);
    stack_.push_uint64(number);
    return Count(error);
  }
  bool on_double(double number, std::string_view, error_code& error) {
    if (part_ == Part::kVocabulary) return OnVocabularyScore(number, error);
    if (part_ == Part::kMerges) return Fail("a merge is a number", error);
    stack_.push_double(number);
    return Count(error);
  }
  bool on_bool(bool value, error_code& error) {
    if (part_ != Part::kRest) return Fail("a token or a merge is a boolean", error);
    stack_.push_bool(value);
    return Count(error);
  }
  bool on_null(error_code& error) {
    if (part_ != Part::kRest) return Fail("a token or a merge is null", error);
    stack_.push_null();
    return Count(error);
  }
  bool on_comment_part(std::string_view, error_code&) { return true; }
  bool on_comment(std::string_view, error_code&) { return true; }

 private:
  enum class Part { kRest, kVocabulary, kMerges };

  bool Fail(std::string message, error_code& error) {
    message_ = std::move(message);
    error = make_error_code(boost::system::errc::invalid_argument);
    return false;
  }
  bool Count(error_code& error) {
    if (++values_ <= values_max_) return true;
    return Fail(fmt::format("it has more than {} values", values_max_), error);
  }
  bool on_double(double number, int64_t integer, error_code& error) {
    if (part_ != Part::kRest) return on_double(number, std::string_view(), error);
    stack_.push_int64(integer);
    return Count(error);
  }
  // The text of the token that came last.
  std::string_view Last() const {
    return document_.vocabulary.empty() ? "" : document_.TextOf(document_.vocabulary.back());
  }

  bool Begin(bool object, error_code& error) {
    ++depth_;
    if (part_ == Part::kVocabulary)
      return !is_object_ && !object && depth_ == part_depth_ + 1
                 ? BeginPiece()
                 : Fail(fmt::format("behind token '{}': a value that is no token", Last()), error);
    if (part_ == Part::kMerges)
      return !object && depth_ == part_depth_ + 1 ? BeginPair()
                                                  : Fail("a merge is no pair of texts", error);
    if (tokenizer_ && depth_ == 3 && top_key_ == "model") {
      if (key_ == "vocab") part_ = Part::kVocabulary;
      if (key_ == "merges" && object) return Fail("'merges' is an object, not an array", error);
      if (key_ == "merges") part_ = Part::kMerges;
      if (part_ == Part::kMerges) document_.has_merges = true;
    }
    if (part_ == Part::kRest) return Count(error);
    part_depth_ = depth_;
    is_object_ = object;
    stack_.push_null();
    return Count(error);
  }

  bool End(bool object, size_t count, error_code& error) {
    const size_t depth = depth_--;
    if (part_ == Part::kRest) {
      if (object)
        stack_.push_object(count);
      else
        stack_.push_array(count);
      return true;
    }
    if (depth == part_depth_) {
      part_ = Part::kRest;
      return true;
    }
    if (part_ == Part::kVocabulary && (!has_text_ || !has_score_))
      return Fail(fmt::format("behind token '{}': a piece that is not [text, score]", Last()),
                  error);
    if (part_ == Part::kMerges && pair_size_ != 2)
      return Fail(fmt::format("merge {} is not a pair", document_.merges.size()), error);
    return true;
  }

  // --- model.vocab: {"text": id} or [["text", score]] ---

  bool AddEntry(TokenId id, error_code& error) {
    if (document_.vocabulary.size() >= static_cast<size_t>(kVocabularySizeMax))
      return Fail(fmt::format("it has more than {} tokens", kVocabularySizeMax), error);
    const auto begin = static_cast<uint32_t>(document_.texts.size());
    document_.vocabulary.push_back({begin, static_cast<uint32_t>(text_.size()), id});
    document_.texts += text_;
    text_.clear();
    return true;
  }

  bool OnVocabularyKey(error_code& error) { return AddEntry(kNoToken, error); }

  bool OnVocabularyId(int64_t id, error_code& error) {
    if (id < 0 || id >= kVocabularySizeMax)
      return Fail(fmt::format("token '{}' has id {}", Last(), id), error);
    document_.vocabulary.back().id = static_cast<TokenId>(id);
    return true;
  }

  bool BeginPiece() {
    has_text_ = false;
    has_score_ = false;
    return true;
  }

  bool OnVocabularyString(error_code& error) {
    if (is_object_) return Fail(fmt::format("the id of token '{}' is a string", Last()), error);
    if (depth_ != part_depth_ + 1 || has_text_)
      return Fail(fmt::format("behind token '{}': a piece that is not [text, score]", Last()),
                  error);
    has_text_ = true;
    return AddEntry(static_cast<TokenId>(document_.vocabulary.size()), error);
  }

  bool OnVocabularyScore(double score, error_code& error) {
    if (is_object_) return Fail(fmt::format("the id of token '{}' is no integer", Last()), error);
    if (!has_text_ || has_score_)
      return Fail(fmt::format("behind token '{}': a piece that is not [text, score]", Last()),
                  error);
    has_score_ = true;
    document_.scores.push_back(score);
    return true;
  }

  // --- model.merges: ["left right"] or [["left", "right"]] ---

  bool BeginPair() {
    pair_size_ = 0;
    return true;
  }

  bool OnMergeString(error_code& error) {
    const auto length = static_cast<uint32_t>(text_.size());
    if (depth_ == part_depth_ + 1) {
      if (++pair_size_ > 2)
        return Fail(fmt::format("merge {} is not a pair", document_.merges.size()), error);
      if (pair_size_ == 1) document_.merges.push_back({length, 0});
      if (pair_size_ == 2) document_.merges.back().right_length = length;
    } else {
      const size_t space = text_.find(' ');
      if (space == std::string::npos || text_.find(' ', space + 1) != std::string::npos)
        return Fail(fmt::format("merge {} is '{}', not two texts with a space between",
                                document_.merges.size(), text_),
                    error);
      text_.erase(space, 1);
      const auto left = static_cast<uint32_t>(space);
      document_.merges.push_back({left, length - 1 - left});
    }
    document_.merge_texts += text_;
    text_.clear();
    if (document_.merges.size() > kMergesMax)
      return Fail(fmt::format("it has more than {} merges", kMergesMax), error);
    return true;
  }

  const bool tokenizer_;  // whether model.vocab and model.merges go their own way
  const size_t values_max_;
  boost::json::value_stack stack_;
  TokenizerDocument document_;
  std::string message_;
  std::string text_;     // the string or key that is coming in
  std::string top_key_;  // of the value at depth 1
  std::string key_;      // of the value at depth 2
  size_t depth_ = 0;
  size_t values_ = 0;
  Part part_ = Part::kRest;
  size_t part_depth_ = 0;
  bool is_object_ = false;
  bool has_text_ = false;
  bool has_score_ = false;
  int pair_size_ = 0;
};

Result<TokenizerDocument> Parse(std::string_view json, std::string_view what, bool tokenizer,
                                size_t values_max) {
  if (values_max == 0) values_max = std::max(kTreeValuesMin, json.size() / kTreeBytesPerValue);
  if (json.size() > kFileBytesMax)
    return MakeError(Code::kInvalidArgument, "{} has {} bytes, more than {}", what, json.size(),
                     kFileBytesMax);
  boost::json::parse_options options;
  options.max_depth = kDepthMax;
  boost::json::basic_parser<Handler> parser(options, tokenizer, values_max);
  error_code error;
  const size_t used = parser.write_some(false, json.data(), json.size(), error);
  const std::string& message = parser.handler().message();
  if (error)
    return MakeError(Code::kInvalidArgument, "{} at byte {}: {}", what, used,
                     message.empty() ? error.message() : message);
  const std::string_view rest = json.substr(used);
  if (!parser.done() || rest.find_first_not_of(" \t\r\n") != std::string_view::npos)
    return MakeError(Code::kInvalidArgument, "{} is not one JSON value", what);
  if (json.substr(std::min(json.find_first_not_of(" \t\r\n"), json.size())).substr(0, 1) != "{")
    return MakeError(Code::kInvalidArgument, "{} is not a JSON object: it begins with '{}'", what,
                     log::Escape(json.substr(0, kShownBytesMax)));
  return std::move(parser.handler()).Take();
}

}  // namespace

Result<TokenizerDocument> ParseTokenizerDocument(std::string_view json) {
  return Parse(json, "tokenizer.json", true, 0);
}

Result<boost::json::object> ParseBoundedObject(std::string_view json, std::string_view what,
                                               size_t values_max) {
  BATON_ASSIGN_OR_RETURN(TokenizerDocument document, Parse(json, what, false, values_max));
  return std::move(document.rest);
}

}  // namespace baton
