#include "model/tokenizer/token_table.h"

#include <algorithm>

#include <boost/json/serialize.hpp>

#include "base/free.h"
#include "model/tokenizer/pipeline/json_fields.h"

namespace baton {
namespace {

using boost::json::array;
using boost::json::object;

// Ids may leave out so many numbers beside what the embedding has rows for.
constexpr int64_t kHolesMax = 64 << 10;
constexpr size_t kEndsMax = 64;

}  // namespace

void TokenTable::Add(AddedToken added) {
  const bool beyond = vocab_size_ > 0 && added.token.id >= vocab_size_;
  if (!beyond) added_.push_back(std::move(added));
}

Status TokenTable::Place(size_t own_count, std::function<Own(size_t)> own) {
  own_ = std::move(own);
  int64_t last = -1;
  for (size_t i = 0; i < own_count; ++i) last = std::max<int64_t>(last, own_(i).id);
  for (const AddedToken& added : added_) last = std::max<int64_t>(last, added.token.id);
  const auto count = static_cast<int64_t>(own_count + added_.size());
  if (vocab_size_ > 0 && last >= vocab_size_)
    return MakeError(Code::kInvalidArgument,
                     "a token has id {}, but the model's embedding has {} rows", last, vocab_size_);
  if (vocab_size_ == 0 && last >= count + kHolesMax)
    return MakeError(Code::kInvalidArgument, "a token has id {}, but there are {} tokens", last,
                     count);
  sources_.assign(static_cast<size_t>(vocab_size_ > 0 ? vocab_size_ : last + 1), kNoSource);
  types_.assign(sources_.size(), TokenType::kUnused);
  is_own_.assign(sources_.size(), false);
  for (size_t i = 0; i < own_count; ++i) {
    const auto [text, id] = own_(i);
    if (id == kNoToken) return MakeError(Code::kInvalidArgument, "token '{}' has no id", text);
    if (IsOwn(id))
      return MakeError(Code::kInvalidArgument, "tokens '{}' and '{}' have one id, {}", TextOf(id),
                       text, id);
    sources_[static_cast<size_t>(id)] = static_cast<int32_t>(i);
    types_[static_cast<size_t>(id)] = TokenType::kNormal;
    is_own_[static_cast<size_t>(id)] = true;
  }
  for (size_t i = 0; i < added_.size(); ++i) BATON_RETURN_IF_ERROR(PlaceAdded(i));
  return OkStatus();
}

Status TokenTable::PlaceAdded(size_t index) {
  const SpecialToken& token = added_[index].token;
  const std::string_view text = TextOf(token.id);
  const bool taken = IsOwn(token.id) || !text.empty();
  if (taken && text != token.text)
    return MakeError(Code::kInvalidArgument, "tokens '{}' and '{}' have one id, {}", text,
                     token.text, token.id);
  if (!taken) sources_[static_cast<size_t>(token.id)] = SourceOfAdded(index);
  return OkStatus();
}

std::string_view TokenTable::TextOf(TokenId id) const {
  const int32_t source = sources_[static_cast<size_t>(id)];
  if (source >= 0) return own_(static_cast<size_t>(source)).text;
  return source == kNoSource
             ? std::string_view()
             : std::string_view(added_[static_cast<size_t>(SourceOfAdded(0) - source)].token.text);
}

TokenId TokenTable::Find(std::string_view text) const {
  if (text.empty()) return kNoToken;
  for (const AddedToken& added : added_) {  // what roles name is nearly always one of these
    if (added.token.text == text) return added.token.id;
  }
  for (TokenId id = 0; id < size(); ++id) {
    if (TextOf(id) == text) return id;
  }
  return kNoToken;
}

Status TokenTable::ReadRoles(const object& config, std::string_view file) {
  for (const std::string_view key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    const auto name = NamedToken(config.if_contains(key));
    if (!name) continue;
    const TokenId id = Find(*name);
    if (id == kNoToken && (key == "bos_token" || key == "eos_token"))
      return MakeError(Code::kInvalidArgument, "{}: {} '{}' is not in the vocabulary", file, key,
                       *name);
    if (id == kNoToken) continue;
    if (key == "bos_token") roles_.bos = id;
    if (key == "eos_token") roles_.eos = id;
    AddControl(id);
  }
  return OkStatus();
}

void TokenTable::AddControl(TokenId id) {
  for (AddedToken& added : added_) {
    if (added.token.id != id) continue;
    added.token.control = true;
    return;
  }
  const std::string text(TextOf(id));
  added_.push_back({{.text = text, .id = id, .control = true}, false});
}

void TokenTable::MakeControl(const std::unordered_set<std::string>& texts) {
  if (texts.empty()) return;
  for (AddedToken& added : added_) {
    if (texts.contains(added.token.text)) added.token.control = true;
  }
  for (TokenId id = 0; id < size(); ++id) {
    if (IsOwn(id) && texts.contains(std::string(TextOf(id)))) SetType(id, TokenType::kControl);
  }
}

Result<Vocabulary> TokenTable::Finish(const TokensAround& around, std::vector<float> scores) {
  for (const AddedToken& added : added_)
    SetType(added.token.id, added.token.control ? TokenType::kControl : TokenType::kUserDefined);
  if (roles_.unknown != kNoToken) SetType(roles_.unknown, TokenType::kUnknown);
  const auto has = [](const std::vector<TokenId>& tokens, TokenId id) {
    return id != kNoToken && std::find(tokens.begin(), tokens.end(), id) != tokens.end();
  };
  VocabularyParts parts = roles_;
  parts.adds_bos = has(around.before, roles_.bos);
  parts.adds_eos = has(around.behind, roles_.eos);
  parts.offsets.reserve(sources_.size() + 1);
  size_t text_bytes = 0;
  for (TokenId id = 0; id < size(); ++id) text_bytes += TextOf(id).size();
  parts.texts.reserve(text_bytes);
  for (TokenId id = 0; id < size(); ++id) {
    parts.offsets.push_back(static_cast<uint32_t>(parts.texts.size()));
    parts.texts += TextOf(id);
  }
  parts.offsets.push_back(static_cast<uint32_t>(parts.texts.size()));
  parts.types = std::move(types_);
  if (!scores.empty()) scores.resize(parts.types.size());
  parts.scores = std::move(scores);
  Free(sources_);
  own_ = nullptr;
  Vocabulary vocabulary = Vocabulary::FromParts(std::move(parts));
  BATON_RETURN_IF_ERROR(CheckTexts(vocabulary));
  return vocabulary;
}

Status TokenTable::CheckTexts(const Vocabulary& vocabulary) {
  if (!vocabulary.repeats_texts()) return OkStatus();
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.TextOf(id);
    if (vocabulary.TypeOf(id) == TokenType::kUnused || text.empty()) continue;
    const TokenId first = vocabulary.Find(text);
    if (first != id)
      return MakeError(Code::kInvalidArgument, "token '{}' has two ids, {} and {}", text, first,
                       id);
  }
  return OkStatus();
}

std::vector<bool> TokenTable::Ordinary(const Vocabulary& vocabulary) const {
  std::vector<bool> ordinary(is_own_);
  for (TokenId id = 0; id < size(); ++id) {
    const TokenType type = vocabulary.TypeOf(id);
    if (type == TokenType::kControl || type == TokenType::kUnknown)
      ordinary[static_cast<size_t>(id)] = false;
  }
  return ordinary;
}

Result<std::vector<TokenId>> TokenTable::ReadEnds(const object& generation) const {
  std::vector<TokenId> ids;
  const boost::json::value* ends = json_fields::Find(generation, "eos_token_id");
  if (ends == nullptr) return ids;
  const array alone = ends->is_array() ? array() : array{*ends};
  const array& all = ends->is_array() ? ends->get_array() : alone;
  if (all.size() > kEndsMax)
    return MakeError(Code::kInvalidArgument, "generation_config.json: {} values of eos_token_id",
                     all.size());
  for (const auto& end : all) {
    const int64_t id = end.is_int64() ? end.get_int64() : -1;
    if (id < 0 || id >= size())
      return MakeError(Code::kInvalidArgument,
                       "generation_config.json: eos_token_id {} is no token id below {}",
                       boost::json::serialize(end), size());
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

}  // namespace baton
