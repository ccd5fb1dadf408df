#include "model/tokenizer/token_table.h"

#include <algorithm>

#include <boost/json/serialize.hpp>

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

Status TokenTable::Place(size_t own_count, const std::function<Own(size_t)>& own) {
  int64_t last = -1;
  for (size_t i = 0; i < own_count; ++i) last = std::max<int64_t>(last, own(i).id);
  for (const AddedToken& added : added_) last = std::max<int64_t>(last, added.token.id);
  const auto count = static_cast<int64_t>(own_count + added_.size());
  if (vocab_size_ > 0 && last >= vocab_size_)
    return MakeError(Code::kInvalidArgument,
                     "a token has id {}, but the model's embedding has {} rows", last, vocab_size_);
  if (vocab_size_ == 0 && last >= count + kHolesMax)
    return MakeError(Code::kInvalidArgument, "a token has id {}, but there are {} tokens", last,
                     count);
  texts_.resize(static_cast<size_t>(vocab_size_ > 0 ? vocab_size_ : last + 1));
  own_.resize(texts_.size());
  types_.assign(texts_.size(), TokenType::kUnused);
  for (size_t i = 0; i < own_count; ++i) {
    const auto [text, id] = own(i);
    if (id == kNoToken) return MakeError(Code::kInvalidArgument, "token '{}' has no id", text);
    const auto index = static_cast<size_t>(id);
    if (own_[index])
      return MakeError(Code::kInvalidArgument, "tokens '{}' and '{}' have one id, {}",
                       texts_[index], text, id);
    texts_[index] = text;
    own_[index] = true;
    types_[index] = TokenType::kNormal;
  }
  for (const AddedToken& added : added_) BATON_RETURN_IF_ERROR(PlaceAdded(added));
  return OkStatus();
}

Status TokenTable::PlaceAdded(const AddedToken& added) {
  std::string_view& text = texts_[static_cast<size_t>(added.token.id)];
  const bool taken = IsOwn(added.token.id) || !text.empty();
  if (taken && text != added.token.text)
    return MakeError(Code::kInvalidArgument, "tokens '{}' and '{}' have one id, {}", text,
                     added.token.text, added.token.id);
  text = added.token.text;
  return OkStatus();
}

TokenId TokenTable::Find(std::string_view text) const {
  const auto at = std::find(texts_.begin(), texts_.end(), text);
  return at == texts_.end() || text.empty() ? kNoToken : static_cast<TokenId>(at - texts_.begin());
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
  parts.offsets.reserve(texts_.size() + 1);
  size_t text_bytes = 0;
  for (const std::string_view text : texts_) text_bytes += text.size();
  parts.texts.reserve(text_bytes);
  for (const std::string_view text : texts_) {
    parts.offsets.push_back(static_cast<uint32_t>(parts.texts.size()));
    parts.texts += text;
  }
  parts.offsets.push_back(static_cast<uint32_t>(parts.texts.size()));
  parts.types = types_;
  if (!scores.empty()) scores.resize(types_.size());
  parts.scores = std::move(scores);
  Vocabulary vocabulary = Vocabulary::FromParts(std::move(parts));
  BATON_RETURN_IF_ERROR(CheckTexts(vocabulary));
  return vocabulary;
}

Status TokenTable::CheckTexts(const Vocabulary& vocabulary) {
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

std::vector<bool> TokenTable::Ordinary() const {
  std::vector<bool> ordinary = own_;
  for (size_t id = 0; id < ordinary.size(); ++id) {
    if (types_[id] == TokenType::kControl || types_[id] == TokenType::kUnknown)
      ordinary[id] = false;
  }
  return ordinary;
}

Result<std::vector<TokenId>> TokenTable::ReadEnds(const object& generation) const {
  std::vector<TokenId> ids;
  const boost::json::value* ends = json_fields::Find(generation, "eos_token_id");
  if (ends == nullptr) return ids;
  const array all = ends->is_array() ? ends->get_array() : array{*ends};
  if (all.size() > kEndsMax)
    return MakeError(Code::kInvalidArgument, "generation_config.json: {} values of eos_token_id",
                     all.size());
  for (const auto& end : all) {
    const int64_t id = end.is_int64() ? end.get_int64() : -1;
    if (id < 0 || id >= static_cast<int64_t>(texts_.size()))
      return MakeError(Code::kInvalidArgument,
                       "generation_config.json: eos_token_id {} is no token id below {}",
                       boost::json::serialize(end), texts_.size());
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

}  // namespace baton
