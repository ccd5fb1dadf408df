// tokenizer.json as it is read from text: its vocabulary and its merges, which are nearly all of
// it, become no tree of values. What is made of a file, of whatever it consists, stays below twice
// the file beside its text.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

// The tokens of model.vocab, in their order.
class ListedTokens {
 public:
  // Texts that lie in `json` as they are, without escapes, are not copied.
  explicit ListedTokens(std::string_view json) : json_(json) {}

  size_t size() const { return places_.size(); }
  bool empty() const { return places_.empty(); }
  std::string_view TextOf(size_t index) const;
  // kNoToken where the file has none; its number in the list where no token has an id there.
  TokenId IdOf(size_t index) const {
    return ids_.empty() ? static_cast<TokenId>(index) : ids_[index];
  }

  void Add(std::string_view text);
  void AddWithId(std::string_view text) {
    Add(text);
    ids_.push_back(kNoToken);
  }
  void SetLastId(TokenId id) { ids_.back() = id; }

 private:
  // Lists that grow without copying, of as few bytes as a token of a hostile file takes there.
  std::string_view json_;
  std::string unescaped_;
  std::deque<uint32_t> places_;  // in `json_`, or with kUnescaped in `unescaped_`
  std::deque<uint16_t> lengths_;
  std::deque<TokenId> ids_;
};

struct TokenizerDocument {
  ListedTokens tokens;
  std::vector<double> scores;  // of Unigram, one for each token
  bool has_merges = false;
  size_t n_merges = 0;
  std::string_view merges;   // the text from their array on
  boost::json::object rest;  // without model.vocab and model.merges
};

// `json` must outlive the document.
Result<TokenizerDocument> ParseTokenizerDocument(std::string_view json);

// Calls `visit(left, right)` for each merge; ends with what it fails with.
Status ForEachMerge(const TokenizerDocument& document,
                    const std::function<Status(std::string_view, std::string_view)>& visit);

struct ObjectLimits {
  size_t values_max = SIZE_MAX;
  std::string_view left_out;  // a member that may be large and that nobody wants
};

// A JSON object; `what` names the file in errors.
Result<boost::json::object> ParseBoundedObject(std::string_view json, std::string_view what,
                                               const ObjectLimits& limits = {});

}  // namespace baton
