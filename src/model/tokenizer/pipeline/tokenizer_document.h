// tokenizer.json as it is read from text: its vocabulary and its merges, which are nearly all of
// it, go into flat arrays as they come, all else becomes a tree of bounded size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/ids.h"
#include "base/result.h"

namespace baton {

struct TokenizerDocument {
  struct Entry {
    uint32_t begin = 0;  // in `texts`
    uint32_t length = 0;
    TokenId id = 0;
  };
  struct Merge {
    uint32_t left_length = 0;
    uint32_t right_length = 0;
  };
  std::string texts;
  std::vector<Entry> vocabulary;
  std::vector<double> scores;  // of Unigram, one for each entry
  bool has_merges = false;
  std::vector<Merge> merges;
  std::string merge_texts;   // left, right, left, right, in their order
  boost::json::object rest;  // without model.vocab and model.merges

  std::string_view TextOf(const Entry& entry) const {
    return std::string_view(texts).substr(entry.begin, entry.length);
  }
};

Result<TokenizerDocument> ParseTokenizerDocument(std::string_view json);

// A JSON object with at most `values_max` values, or with as many as honest files of this size have
// (0); `what` names the file in errors.
Result<boost::json::object> ParseBoundedObject(std::string_view json, std::string_view what,
                                               size_t values_max = 0);

}  // namespace baton
