#include "model/tokenizer/pipeline/tokenizer_document.h"

#include <algorithm>
#include <memory>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value_stack.hpp>

#include "base/log.h"
#include "model/tokenizer/merge_table.h"
#include "model/tokenizer/pipeline/arena_resource.h"

namespace baton {
namespace {

using boost::system::error_code;

constexpr size_t kDepthMax = 64;
constexpr size_t kFileBytesMax = 1u << 30;
constexpr size_t kStringBytesMax = 1 << 20;
constexpr size_t kTokenBytesMax = UINT16_MAX;
constexpr size_t kShownBytesMax = 32;
// A tree of values may take as much as the text, and this much in any case: honest ones take three
// times their text, but are small or a small part of it.
constexpr size_t kTreeBytesMin = 4 << 20;
// Of a value that waits for its array or object to end, in a stack that grows by doubling.
constexpr size_t kWaitingValueBytes = 3 * sizeof(boost::json::value);
// So many tokens or merges may be as short as they like; no honest list of more is of tinier ones.
constexpr size_t kTinyMax = 64 << 10;
constexpr size_t kMergeBytesMin = 3;   // of both texts
constexpr size_t kPieceBytesMin = 18;  // of the file: ["text",-12.345],

constexpr uint32_t kUnescaped = 1u << 31;
static_assert(kFileBytesMax < kUnescaped);

bool IsWithin(std::string_view part, std::string_view whole) {
  return !std::less<>()(part.data(), whole.data()) &&
         !std::less<>()(whole.data() + whole.size(), part.data() + part.size());
}
size_t PlaceIn(std::string_view part, std::string_view whole) {
  return static_cast<size_t>(part.data() - whole.data());
}

boost::json::parse_options Options() {
  boost::json::parse_options options;
  options.max_depth = kDepthMax;
  return options;
}

// What Boost.JSON's parser calls. Returning false ends the parse.
class Handler {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;

  Handler(std::string_view json, bool tokenizer, const ObjectLimits& limits)
      : json_(json), tokenizer_(tokenizer), limits_(limits), tokens_(json) {
    stack_.reset(boost::json::make_shared_resource<ArenaResource>(tree_bytes_));
  }

  TokenizerDocument Take() && {
    scores_.shrink_to_fit();
    return {.tokens = std::move(tokens_),
            .scores = std::move(scores_),
            .has_merges = has_merges_,
            .n_merges = n_merges_,
            .merges = merges_,
            .rest = std::move(stack_.release().as_object())};
  }
  const std::string& message() const { return message_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

  bool on_object_begin(error_code& error) { return Begin(true, error); }
  bool on_array_begin(error_code& error) { return Begin(false, error); }
  bool on_object_end(size_t count, error_code& error) { return End(true, count, error); }
  bool on_array_end(size_t count, error_code& error) { return End(false, count, error); }

  bool on_key_part(std::string_view part, size_t, error_code& error) {
    return AddPart(part, error);
  }
  bool on_key(std::string_view part, size_t, error_code& error) {
    if (!CheckPart(part, error)) return false;
    const std::string_view key = Whole(part);
    if (part_ == Part::kVocabulary) return AddToken(key, error);
    if (part_ == Part::kMerges) return Fail("a merge is an object", error);
    if (depth_ == 1) top_key_ = key;
    if (depth_ == 2) {
      key_ = key;
      key_end_ = IsWithin(key, json_) ? PlaceIn(key, json_) + key.size() : json_.size();
    }
    if (IsLeftOut()) return true;
    stack_.push_key(key);
    return CountWaiting(error);
  }
  bool on_string_part(std::string_view part, size_t, error_code& error) {
    return AddPart(part, error);
  }
  bool on_string(std::string_view part, size_t, error_code& error) {
    if (!CheckPart(part, error)) return false;
    const std::string_view text = Whole(part);
    if (part_ == Part::kVocabulary) return OnVocabularyString(text, error);
    if (part_ == Part::kMerges) return OnMergeString(text, error);
    if (IsLeftOut()) return true;
    stack_.push_string(text);
    return Count(error);
  }
  bool on_number_part(std::string_view, error_code&) { return true; }
  bool on_int64(int64_t number, std::string_view, error_code& error) {
    if (part_ == Part::kVocabulary && is_object_) return OnVocabularyId(number, error);
    if (IsListed()) return OnListedNumber(static_cast<double>(number), error);
    if (IsLeftOut()) return true;
    stack_.push_int64(number);
    return Count(error);
  }
  bool on_uint64(uint64_t number, std::string_view, error_code& error) {
    if (part_ == Part::kVocabulary && is_object_)
      return Fail(fmt::format("token '{}' has id {}", Last(), number), error);
    if (IsListed()) return OnListedNumber(static_cast<double>(number), error);
    if (IsLeftOut()) return true;
    stack_.push_uint64(number);
    return Count(error);
  }
  bool on_double(double number, std::string_view, error_code& error) {
    if (IsListed()) return OnListedNumber(number, error);
    if (IsLeftOut()) return true;
    stack_.push_double(number);
    return Count(error);
  }
  bool on_bool(bool value, error_code& error) {
    if (IsListed()) return Fail("a token or a merge is a boolean", error);
    if (IsLeftOut()) return true;
    stack_.push_bool(value);
    return Count(error);
  }
  bool on_null(error_code& error) {
    if (IsListed()) return Fail("a token or a merge is null", error);
    if (IsLeftOut()) return true;
    stack_.push_null();
    return Count(error);
  }
  bool on_comment_part(std::string_view, error_code&) { return true; }
  bool on_comment(std::string_view, error_code&) { return true; }

 private:
  enum class Part { kRest, kVocabulary, kMerges, kLeftOut };

  bool Fail(std::string message, error_code& error) {
    message_ = std::move(message);
    error = make_error_code(boost::system::errc::invalid_argument);
    return false;
  }
  bool IsListed() const { return part_ == Part::kVocabulary || part_ == Part::kMerges; }
  bool IsLeftOut() const { return part_ == Part::kLeftOut; }

  // --- texts: one with escapes comes in parts ---

  bool CheckPart(std::string_view part, error_code& error) {
    if (part.size() <= kStringBytesMax - parts_.size()) return true;
    return Fail(fmt::format("a text has more than {} bytes", kStringBytesMax), error);
  }
  bool AddPart(std::string_view part, error_code& error) {
    if (!CheckPart(part, error)) return false;
    parts_ += part;
    return true;
  }
  // Valid until the next one.
  std::string_view Whole(std::string_view last) {
    if (parts_.empty()) return last;
    whole_.swap(parts_);
    parts_.clear();
    whole_ += last;
    return whole_;
  }

  // --- the tree ---

  bool Count(error_code& error) {
    if (++values_ > limits_.values_max)
      return Fail(fmt::format("it has more than {} values", limits_.values_max), error);
    return CountWaiting(error);
  }
  // Of a value or a key that was pushed.
  bool CountWaiting(error_code& error) {
    ++waiting_;
    return CheckTree(error);
  }
  bool CheckTree(error_code& error) {
    const size_t bytes_max = std::max(kTreeBytesMin, json_.size());
    if (*tree_bytes_ + waiting_ * kWaitingValueBytes <= bytes_max) return true;
    return Fail(fmt::format("its values take more than {} bytes", bytes_max), error);
  }

  bool Begin(bool object, error_code& error) {
    ++depth_;
    if (part_ == Part::kLeftOut) return true;
    if (part_ == Part::kVocabulary)
      return !is_object_ && !object && depth_ == part_depth_ + 1
                 ? BeginPiece()
                 : Fail(fmt::format("behind token '{}': a value that is no token", Last()), error);
    if (part_ == Part::kMerges)
      return !object && depth_ == part_depth_ + 1 ? BeginPair()
                                                  : Fail("a merge is no pair of texts", error);
    part_ = PartThatBegins();
    if (part_ == Part::kMerges && object) return Fail("'merges' is an object, not an array", error);
    if (part_ == Part::kMerges && !FindMerges(error)) return false;
    if (part_ == Part::kVocabulary && !tokens_.empty())
      return Fail("'vocab' is there twice", error);
    if (part_ == Part::kRest) return true;
    part_depth_ = depth_;
    is_object_ = object;
    stack_.push_null();
    return Count(error);
  }

  Part PartThatBegins() const {
    if (depth_ == 2 && !limits_.left_out.empty() && top_key_ == limits_.left_out)
      return Part::kLeftOut;
    if (!tokenizer_ || depth_ != 3 || top_key_ != "model") return Part::kRest;
    return key_ == "merges" ? Part::kMerges : key_ == "vocab" ? Part::kVocabulary : Part::kRest;
  }

  // Where the array is that has just begun.
  bool FindMerges(error_code& error) {
    if (has_merges_) return Fail("'merges' is there twice", error);
    if (key_end_ == json_.size()) return Fail("the name 'merges' is written with escapes", error);
    has_merges_ = true;
    merges_ = json_.substr(json_.find('[', key_end_));
    return true;
  }

  bool End(bool object, size_t count, error_code& error) {
    const size_t depth = depth_--;
    if (part_ == Part::kRest) return EndTree(object, count, error);
    if (depth == part_depth_) return EndPart(error);
    if (part_ == Part::kVocabulary && (!has_text_ || !has_score_))
      return Fail(fmt::format("behind token '{}': a piece that is not [text, score]", Last()),
                  error);
    if (part_ == Part::kMerges && pair_size_ != 2)
      return Fail(fmt::format("merge {} is not a pair", n_merges_), error);
    return true;
  }

  bool EndTree(bool object, size_t count, error_code& error) {
    if (object)
      stack_.push_object(count);
    else
      stack_.push_array(count);
    waiting_ -= object ? 2 * count : count;
    return Count(error);
  }

  bool EndPart(error_code& error) {
    const bool tiny_merges = n_merges_ > kTinyMax && merge_bytes_ < kMergeBytesMin * n_merges_;
    if (part_ == Part::kMerges && tiny_merges)
      return Fail(fmt::format("{} merges have {} bytes in all, less than {} each", n_merges_,
                              merge_bytes_, kMergeBytesMin),
                  error);
    part_ = Part::kRest;
    return true;
  }

  // --- model.vocab: {"text": id} or [["text", score]] ---

  // The text of the token that came last.
  std::string_view Last() const {
    return tokens_.empty() ? "" : tokens_.TextOf(tokens_.size() - 1);
  }

  bool AddToken(std::string_view text, error_code& error) {
    if (tokens_.size() >= static_cast<size_t>(kVocabularySizeMax))
      return Fail(fmt::format("it has more than {} tokens", kVocabularySizeMax), error);
    if (text.size() > kTokenBytesMax)
      return Fail(fmt::format("token '{}...' has {} bytes, more than {}",
                              text.substr(0, kShownBytesMax), text.size(), kTokenBytesMax),
                  error);
    if (is_object_)
      tokens_.AddWithId(text);
    else
      tokens_.Add(text);
    return true;
  }

  bool OnVocabularyId(int64_t id, error_code& error) {
    if (id < 0 || id >= kVocabularySizeMax)
      return Fail(fmt::format("token '{}' has id {}", Last(), id), error);
    tokens_.SetLastId(static_cast<TokenId>(id));
    return true;
  }

  bool BeginPiece() {
    has_text_ = false;
    has_score_ = false;
    return true;
  }

  bool OnVocabularyString(std::string_view text, error_code& error) {
    if (is_object_) return Fail(fmt::format("the id of token '{}' is a string", Last()), error);
    if (depth_ != part_depth_ + 1 || has_text_)
      return Fail(fmt::format("behind token '{}': a piece that is not [text, score]", Last()),
                  error);
    has_text_ = true;
    const size_t pieces_max = json_.size() / kPieceBytesMin + 1;
    if (tokens_.size() >= std::max(kTinyMax, pieces_max))
      return Fail(fmt::format("it has more than {} pieces, less than {} bytes for each",
                              tokens_.size(), kPieceBytesMin),
                  error);
    if (scores_.empty()) scores_.reserve(pieces_max);
    return AddToken(text, error);
  }

  bool OnListedNumber(double number, error_code& error) {
    if (part_ == Part::kMerges) return Fail("a merge is a number", error);
    if (is_object_) return Fail(fmt::format("the id of token '{}' is no integer", Last()), error);
    if (!has_text_ || has_score_)
      return Fail(fmt::format("behind token '{}': a piece that is not [text, score]", Last()),
                  error);
    has_score_ = true;
    scores_.push_back(number);
    return true;
  }

  // --- model.merges: ["left right"] or [["left", "right"]] ---

  bool BeginPair() {
    pair_size_ = 0;
    return true;
  }

  bool OnMergeString(std::string_view text, error_code& error) {
    if (depth_ != part_depth_ + 1) {
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
        return Fail(fmt::format("merge {} is '{}', not two texts with a space between", n_merges_,
                                text.substr(0, kShownBytesMax)),
                    error);
      return OnMerge(text.substr(0, space), text.substr(space + 1), error);
    }
    if (++pair_size_ > 2) return Fail(fmt::format("merge {} is not a pair", n_merges_), error);
    if (pair_size_ == 2) return OnMerge(left_, text, error);
    left_ = text;
    return true;
  }

  bool OnMerge(std::string_view left, std::string_view right, error_code& error) {
    merge_bytes_ += left.size() + right.size();
    if (++n_merges_ > kMergesMax)
      return Fail(fmt::format("it has more than {} merges", kMergesMax), error);
    return true;
  }

  const std::string_view json_;
  const bool tokenizer_;  // whether model.vocab and model.merges go their own way
  const ObjectLimits limits_;
  std::string message_;
  std::string parts_;  // of the text that is coming in
  std::string whole_;
  std::string top_key_;  // of the value at depth 1
  std::string key_;      // of the value at depth 2
  size_t depth_ = 0;

  const std::shared_ptr<size_t> tree_bytes_ = std::make_shared<size_t>(0);
  boost::json::value_stack stack_;
  size_t values_ = 0;
  size_t waiting_ = 0;  // in stack_

  Part part_ = Part::kRest;
  size_t part_depth_ = 0;
  bool is_object_ = false;
  ListedTokens tokens_;
  std::vector<double> scores_;
  bool has_text_ = false;
  bool has_score_ = false;
  size_t key_end_ = 0;  // of the key at depth 2
  bool has_merges_ = false;
  std::string_view merges_;
  size_t n_merges_ = 0;
  size_t merge_bytes_ = 0;
  int pair_size_ = 0;
  std::string left_;
};

Result<TokenizerDocument> Parse(std::string_view json, std::string_view what, bool tokenizer,
                                const ObjectLimits& limits) {
  if (json.size() > kFileBytesMax)
    return MakeError(Code::kInvalidArgument, "{} has {} bytes, more than {}", what, json.size(),
                     kFileBytesMax);
  boost::json::basic_parser<Handler> parser(Options(), json, tokenizer, limits);
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

// Reads once more what the parser found to be an array of strings, or of pairs of them.
class MergeScanner {
 public:
  explicit MergeScanner(std::string_view merges) : rest_(merges.substr(1)) {}

  // Whether there is another; left() and right() are its texts until the next call.
  bool Next() {
    while (rest_.front() != '"' && rest_.front() != '[' && rest_.front() != ']')
      rest_.remove_prefix(1);
    if (rest_.front() == ']') return false;
    const bool pair = rest_.front() == '[';
    left_ = String(unescaped_left_);
    if (pair) {
      right_ = String(unescaped_right_);
      rest_.remove_prefix(rest_.find(']') + 1);
      return true;
    }
    const size_t space = left_.find(' ');
    right_ = left_.substr(space + 1);
    left_ = left_.substr(0, space);
    return true;
  }
  std::string_view left() const { return left_; }
  std::string_view right() const { return right_; }

 private:
  std::string_view String(std::string& unescaped) {
    rest_.remove_prefix(rest_.find('"'));
    const size_t quote = rest_.find('"', 1);
    std::string_view text = rest_.substr(1, quote - 1);
    if (text.find('\\') != std::string_view::npos) return EscapedString(unescaped);
    rest_.remove_prefix(quote + 1);
    return text;
  }

  std::string_view EscapedString(std::string& unescaped) {
    size_t end = 1;
    while (rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    unescaped = boost::json::parse(rest_.substr(0, end + 1)).get_string();
    rest_.remove_prefix(end + 1);
    return unescaped;
  }

  std::string_view rest_;
  std::string_view left_, right_;
  std::string unescaped_left_, unescaped_right_;
};

}  // namespace

void ListedTokens::Add(std::string_view text) {
  if (IsWithin(text, json_)) {
    places_.push_back(static_cast<uint32_t>(PlaceIn(text, json_)));
  } else {
    places_.push_back(kUnescaped | static_cast<uint32_t>(unescaped_.size()));
    unescaped_ += text;
  }
  lengths_.push_back(static_cast<uint16_t>(text.size()));
}

std::string_view ListedTokens::TextOf(size_t index) const {
  const uint32_t place = places_[index];
  const std::string_view all = (place & kUnescaped) != 0 ? std::string_view(unescaped_) : json_;
  return all.substr(place & ~kUnescaped, lengths_[index]);
}

Result<TokenizerDocument> ParseTokenizerDocument(std::string_view json) {
  return Parse(json, "tokenizer.json", true, {});
}

Status ForEachMerge(const TokenizerDocument& document,
                    const std::function<Status(std::string_view, std::string_view)>& visit) {
  if (!document.has_merges) return OkStatus();
  MergeScanner scanner(document.merges);
  while (scanner.Next()) BATON_RETURN_IF_ERROR(visit(scanner.left(), scanner.right()));
  return OkStatus();
}

Result<boost::json::object> ParseBoundedObject(std::string_view json, std::string_view what,
                                               const ObjectLimits& limits) {
  BATON_ASSIGN_OR_RETURN(TokenizerDocument document, Parse(json, what, false, limits));
  return std::move(document.rest);
}

}  // namespace baton
