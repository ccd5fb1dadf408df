// Which token has which id, type and role, put together from the files of a folder: the model's own
// vocabulary, the tokens added to it, and what the configurations say.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "model/tokenizer/added_token.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

class TokenTable {
 public:
  // `vocab_size` as ReadTokenizerFiles() takes it.
  explicit TokenTable(int32_t vocab_size) : vocab_size_(vocab_size) {}

  // Tokens for which the embedding has no row are left out.
  void Add(AddedToken added);
  // A token of the model's own.
  struct Own {
    std::string_view text;
    TokenId id = kNoToken;
  };
  // Once, behind all Add(). `own(i)` is the i-th of `count`, and goes on to be asked until
  // Finish(). Fails where two tokens want one id.
  Status Place(size_t count, std::function<Own(size_t)> own);

  int32_t size() const { return static_cast<int32_t>(is_own_.size()); }
  std::string_view TextOf(TokenId id) const;
  // Linear: for the few tokens that a configuration names.
  TokenId Find(std::string_view text) const;
  bool IsOwn(TokenId id) const { return is_own_[static_cast<size_t>(id)]; }
  const std::deque<AddedToken>& added() const { return added_; }

  // bos_token, eos_token, unk_token and pad_token of a configuration; they become control tokens.
  // BOS and EOS must be in the vocabulary.
  Status ReadRoles(const boost::json::object& config, std::string_view file);
  // A token with a role is a control token, even where no file added it.
  void AddControl(TokenId id);
  // All tokens of these texts steer.
  void MakeControl(const std::unordered_set<std::string>& texts);
  void SetBos(TokenId id) { roles_.bos = id; }
  void SetEos(TokenId id) { roles_.eos = id; }
  void SetUnknown(TokenId id) { roles_.unknown = id; }
  TokenId bos() const { return roles_.bos; }
  TokenId eos() const { return roles_.eos; }
  TokenId unknown() const { return roles_.unknown; }

  // Of the model's own tokens; those that were added have types by themselves.
  void SetType(TokenId id, TokenType type) { types_[static_cast<size_t>(id)] = type; }
  // Once, behind all of the above but size(), IsOwn() and added(): texts are the vocabulary's from
  // then on. `around` says whether BOS and EOS are added. Fails where two tokens have one text.
  Result<Vocabulary> Finish(const TokensAround& around, std::vector<float> scores = {});
  // Behind Finish(): which tokens the model may make of text.
  std::vector<bool> Ordinary(const Vocabulary& vocabulary) const;
  // Behind Finish(): all that were added, which are gone here then.
  std::deque<AddedToken> TakeAdded() { return std::exchange(added_, {}); }

  // The ids of generation_config.json's eos_token_id.
  Result<std::vector<TokenId>> ReadEnds(const boost::json::object& generation) const;

 private:
  Status PlaceAdded(size_t index);
  static Status CheckTexts(const Vocabulary& vocabulary);

  // A text would be four times as large as where it is to be had.
  static constexpr int32_t kNoSource = -1;
  static int32_t SourceOfAdded(size_t index) { return kNoSource - 1 - static_cast<int32_t>(index); }

  const int32_t vocab_size_;
  std::deque<AddedToken> added_;
  std::function<Own(size_t)> own_;
  std::vector<bool> is_own_;
  std::vector<int32_t> sources_;  // by id: the number that `own_` takes, or of which added token
  std::vector<TokenType> types_;
  VocabularyParts roles_;
};

}  // namespace baton
