#include "model/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>

#include <boost/json/serialize.hpp>

#include "model/text/utf8.h"
#include "model/tokenizer/pipeline/bpe_model.h"
#include "model/tokenizer/pipeline/json_fields.h"
#include "model/tokenizer/pipeline/pipeline_encoder.h"
#include "model/tokenizer/pipeline/tokenizer_document.h"
#include "model/tokenizer/pipeline/unigram_model.h"

namespace baton {
namespace {

using boost::json::array;
using boost::json::object;

// Ids may leave out so many numbers beside what the embedding has rows for.
constexpr int64_t kHolesMax = 64 << 10;
constexpr size_t kEndsMax = 64;

struct AddedToken {
  SpecialToken token;
  bool normalized = false;
};

// Files mark only some of the tokens that steer a model as special; these are others.
bool LooksLikeControl(std::string_view text) {
  return (text.starts_with("<|") && text.ends_with("|>") && text.size() > 4) ||
         (text.starts_with("<\uFF5C") && text.ends_with("\uFF5C>") && text.size() > 8);
}

Result<AddedToken> ReadAddedToken(const boost::json::value& json) {
  BATON_ASSIGN_OR_RETURN(const object* fields, json_fields::Object(json, "added_tokens"));
  AddedToken added;
  BATON_ASSIGN_OR_RETURN(added.token.text, json_fields::String(*fields, "content"));
  BATON_ASSIGN_OR_RETURN(const int64_t id, json_fields::Integer(*fields, "id"));
  if (id < 0 || id >= kVocabularySizeMax)
    return MakeError(Code::kInvalidArgument, "added token '{}' has id {}", added.token.text, id);
  added.token.id = static_cast<TokenId>(id);
  BATON_ASSIGN_OR_RETURN(const bool special, json_fields::BoolOr(*fields, "special", false));
  added.token.control = special || LooksLikeControl(added.token.text);
  BATON_ASSIGN_OR_RETURN(added.token.whole_words,
                         json_fields::BoolOr(*fields, "single_word", false));
  BATON_ASSIGN_OR_RETURN(added.token.takes_spaces_before,
                         json_fields::BoolOr(*fields, "lstrip", false));
  BATON_ASSIGN_OR_RETURN(added.token.takes_spaces_behind,
                         json_fields::BoolOr(*fields, "rstrip", false));
  BATON_ASSIGN_OR_RETURN(added.normalized, json_fields::BoolOr(*fields, "normalized", !special));
  return added;
}

// A token that a configuration names: "text" or {"content": "text"}. Nothing if it is absent.
std::optional<std::string> NamedToken(const boost::json::value* value) {
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

// The tokens that a TemplateProcessing puts around a text.
struct Around {
  std::optional<std::string> before;
  std::optional<std::string> behind;
};

Result<Around> ReadTemplate(const object& fields) {
  Around around;
  BATON_ASSIGN_OR_RETURN(const array* items, json_fields::Array(fields, "single"));
  bool text_seen = false;
  for (const auto& item : *items) {
    BATON_ASSIGN_OR_RETURN(const object* entry, json_fields::Object(item, "single"));
    const boost::json::value* special = json_fields::Find(*entry, "SpecialToken");
    if (special == nullptr) {
      text_seen = true;
      continue;
    }
    BATON_ASSIGN_OR_RETURN(const object* token, json_fields::Object(*special, "SpecialToken"));
    BATON_ASSIGN_OR_RETURN(std::string id, json_fields::String(*token, "id"));
    std::optional<std::string>& place = text_seen ? around.behind : around.before;
    if (place)
      return MakeError(Code::kUnimplemented,
                       "a TemplateProcessing that puts '{}' and '{}' on one side is not supported",
                       *place, id);
    place = std::move(id);
  }
  return around;
}

Result<Around> ReadPostProcessor(const boost::json::value& json, int depth = 0) {
  if (json.is_null()) return Around{};
  BATON_ASSIGN_OR_RETURN(const object* fields, json_fields::Object(json, "post_processor"));
  BATON_ASSIGN_OR_RETURN(const std::string type, json_fields::String(*fields, "type"));
  if (type == "ByteLevel") return Around{};  // it only changes offsets
  if (type == "TemplateProcessing") return ReadTemplate(*fields);
  if (type != "Sequence" || depth > 0)
    return MakeError(Code::kUnimplemented, "post-processor '{}' is not supported", type);
  BATON_ASSIGN_OR_RETURN(const array* items, json_fields::Array(*fields, "processors"));
  Around all;
  for (const auto& item : *items) {
    BATON_ASSIGN_OR_RETURN(Around around, ReadPostProcessor(item, depth + 1));
    if ((all.before && around.before) || (all.behind && around.behind))
      return MakeError(Code::kUnimplemented, "two TemplateProcessings are not supported");
    if (around.before) all.before = std::move(around.before);
    if (around.behind) all.behind = std::move(around.behind);
  }
  return all;
}

// Classes that put BOS and EOS around a text as their configuration says, whatever the
// post-processor.
bool ObeysConfiguration(const object& config) {
  const auto name = NamedToken(config.if_contains("tokenizer_class")).value_or("");
  constexpr std::string_view kClasses[] = {"Llama", "CodeLlama", "Gemma", "Cohere"};
  return std::any_of(std::begin(kClasses), std::end(kClasses), [&name](std::string_view prefix) {
    return name == fmt::format("{}Tokenizer", prefix) ||
           name == fmt::format("{}TokenizerFast", prefix);
  });
}

class Reader {
 public:
  Reader(TokenizerDocument document, object config, object generation, int32_t vocab_size)
      : document_(std::move(document)),
        config_(std::move(config)),
        generation_(std::move(generation)),
        vocab_size_(vocab_size) {}

  Result<Tokenizer> Read() {
    BATON_RETURN_IF_ERROR(ReadModelFields());
    BATON_RETURN_IF_ERROR(ReadAddedTokens());
    BATON_RETURN_IF_ERROR(ReadPipeline());
    BATON_RETURN_IF_ERROR(PlaceTokens());
    BATON_RETURN_IF_ERROR(ReadRoles());
    BATON_RETURN_IF_ERROR(ReadUnknown());
    SetTypes();
    parts_.vocabulary = std::make_unique<const Vocabulary>(MakeVocabulary());
    BATON_RETURN_IF_ERROR(CheckTexts());
    BATON_RETURN_IF_ERROR(MakeModel());
    BATON_RETURN_IF_ERROR(SortSpecialTokens());
    BATON_RETURN_IF_ERROR(ReadEnds());
    parts_.encoder = std::make_unique<const PipelineEncoder>(std::move(pipeline_));
    return Tokenizer::FromParts(std::move(parts_));
  }

 private:
  boost::json::value Member(std::string_view key) const {
    const boost::json::value* value = json_fields::Find(document_.rest, key);
    return value == nullptr ? boost::json::value(nullptr) : *value;
  }

  Status ReadModelFields() {
    const boost::json::value* model = json_fields::Find(document_.rest, "model");
    if (model == nullptr) return MakeError(Code::kInvalidArgument, "'model' is missing");
    BATON_ASSIGN_OR_RETURN(model_, json_fields::Object(*model, "model"));
    // Older files do not name the type.
    const std::string_view guess = document_.has_merges ? "BPE" : "";
    BATON_ASSIGN_OR_RETURN(const std::string type, json_fields::StringOr(*model_, "type", guess));
    if (type != "BPE" && type != "Unigram")
      return MakeError(Code::kUnimplemented, "model '{}' is not supported; supported: BPE, Unigram",
                       type);
    unigram_ = type == "Unigram";
    if (document_.vocabulary.empty())
      return MakeError(Code::kInvalidArgument, "the model has no vocabulary");
    const bool scored = document_.scores.size() == document_.vocabulary.size();
    if (scored != unigram_ || (!unigram_ && !document_.scores.empty()))
      return MakeError(Code::kInvalidArgument, "the vocabulary is not one of model '{}'", type);
    parts_.kind = unigram_ ? "unigram" : "bpe";
    return OkStatus();
  }

  Status ReadAddedTokens() {
    if (json_fields::Find(document_.rest, "added_tokens") == nullptr) return OkStatus();
    BATON_ASSIGN_OR_RETURN(const array* items, json_fields::Array(document_.rest, "added_tokens"));
    for (const auto& item : *items) {
      BATON_ASSIGN_OR_RETURN(AddedToken added, ReadAddedToken(item));
      const bool beyond = vocab_size_ > 0 && added.token.id >= vocab_size_;
      if (!beyond) added_.push_back(std::move(added));
    }
    return OkStatus();
  }

  Status ReadPipeline() {
    BATON_ASSIGN_OR_RETURN(pipeline_.normalizer, Normalizer::FromJson(Member("normalizer")));
    BATON_ASSIGN_OR_RETURN(pipeline_.splitter, Splitter::FromJson(Member("pre_tokenizer")));
    const boost::json::value decoder = Member("decoder");
    if (!decoder.is_null()) {
      BATON_ASSIGN_OR_RETURN(pipeline_.spelling, Spelling::FromJson(decoder));
    } else if (pipeline_.splitter.writes_bytes()) {
      pipeline_.spelling = Spelling::OfBytes();
    } else {
      pipeline_.spelling = Spelling::OfSpaceMarks(pipeline_.splitter.adds_space());
    }
    return OkStatus();
  }

  // --- which text has which id ---

  Status PlaceTokens() {
    int64_t last = -1;
    for (const auto& entry : document_.vocabulary) last = std::max<int64_t>(last, entry.id);
    for (const AddedToken& added : added_) last = std::max<int64_t>(last, added.token.id);
    const auto count = static_cast<int64_t>(document_.vocabulary.size() + added_.size());
    if (vocab_size_ > 0 && last >= vocab_size_)
      return MakeError(Code::kInvalidArgument,
                       "a token has id {}, but the model's embedding has {} rows", last,
                       vocab_size_);
    if (vocab_size_ == 0 && last >= count + kHolesMax)
      return MakeError(Code::kInvalidArgument, "a token has id {}, but there are {} tokens", last,
                       count);
    texts_.resize(static_cast<size_t>(vocab_size_ > 0 ? vocab_size_ : last + 1));
    in_model_.resize(texts_.size());
    for (const auto& entry : document_.vocabulary) {
      const std::string_view text = document_.TextOf(entry);
      const auto id = static_cast<size_t>(entry.id);
      if (entry.id == kNoToken)
        return MakeError(Code::kInvalidArgument, "token '{}' has no id", text);
      if (in_model_[id])
        return MakeError(Code::kInvalidArgument, "tokens '{}' and '{}' have one id, {}", texts_[id],
                         text, id);
      texts_[id] = text;
      in_model_[id] = true;
    }
    for (const AddedToken& added : added_) BATON_RETURN_IF_ERROR(PlaceAdded(added));
    return OkStatus();
  }

  Status PlaceAdded(const AddedToken& added) {
    std::string_view& text = texts_[static_cast<size_t>(added.token.id)];
    const bool taken = in_model_[static_cast<size_t>(added.token.id)] || !text.empty();
    if (taken && text != added.token.text)
      return MakeError(Code::kInvalidArgument, "tokens '{}' and '{}' have one id, {}", text,
                       added.token.text, added.token.id);
    text = added.token.text;
    return OkStatus();
  }

  // Linear, and once for each name.
  TokenId Find(std::string_view text) const {
    const auto at = std::find(texts_.begin(), texts_.end(), text);
    return at == texts_.end() || text.empty() ? kNoToken
                                              : static_cast<TokenId>(at - texts_.begin());
  }

  // --- roles ---

  Status ReadRoles() {
    BATON_ASSIGN_OR_RETURN(const Around around, ReadPostProcessor(Member("post_processor")));
    for (const std::string_view key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
      const auto name = NamedToken(config_.if_contains(key));
      if (!name) continue;
      const TokenId id = Find(*name);
      if (id == kNoToken && (key == "bos_token" || key == "eos_token"))
        return MakeError(Code::kInvalidArgument,
                         "tokenizer_config.json: {} '{}' is not in the vocabulary", key, *name);
      if (id == kNoToken) continue;
      if (key == "bos_token") roles_.bos = id;
      if (key == "eos_token") roles_.eos = id;
      AddControl(id);
    }
    BATON_ASSIGN_OR_RETURN(roles_.adds_bos, Adds(around.before, "add_bos_token", true, roles_.bos));
    BATON_ASSIGN_OR_RETURN(roles_.adds_eos,
                           Adds(around.behind, "add_eos_token", false, roles_.eos));
    return OkStatus();
  }

  // Whether `token`, which the post-processor puts beside a text, is put there; it becomes `role`
  // if that has no token yet.
  Result<bool> Adds(const std::optional<std::string>& token, std::string_view flag, bool otherwise,
                    TokenId& role) {
    if (token) {
      const TokenId id = Find(*token);
      if (id == kNoToken)
        return MakeError(Code::kInvalidArgument,
                         "the post-processor adds '{}', which is not in the vocabulary", *token);
      if (role != kNoToken && role != id)
        return MakeError(Code::kUnimplemented,
                         "the post-processor adds '{}', which is neither BOS nor EOS", *token);
      role = id;
      AddControl(id);
    }
    if (!ObeysConfiguration(config_)) return token.has_value();
    BATON_ASSIGN_OR_RETURN(const bool adds, json_fields::BoolOr(config_, flag, otherwise));
    return adds && role != kNoToken;
  }

  // A token with a role is a control token, even where `added_tokens` lacks it.
  void AddControl(TokenId id) {
    for (AddedToken& added : added_) {
      if (added.token.id != id) continue;
      added.token.control = true;
      return;
    }
    const std::string text(texts_[static_cast<size_t>(id)]);
    added_.push_back({{.text = text, .id = id, .control = true}, false});
  }

  Status ReadUnknown() {
    if (unigram_) {
      if (json_fields::Find(*model_, "unk_id") == nullptr) return OkStatus();
      BATON_ASSIGN_OR_RETURN(const int64_t id, json_fields::Integer(*model_, "unk_id"));
      if (id < 0 || id >= static_cast<int64_t>(document_.vocabulary.size()))
        return MakeError(Code::kInvalidArgument, "'unk_id' is {} in a vocabulary of {}", id,
                         document_.vocabulary.size());
      roles_.unknown = static_cast<TokenId>(id);
      return OkStatus();
    }
    BATON_ASSIGN_OR_RETURN(const std::string name, json_fields::StringOr(*model_, "unk_token", ""));
    if (name.empty()) return OkStatus();
    roles_.unknown = Find(name);
    if (roles_.unknown == kNoToken || !in_model_[static_cast<size_t>(roles_.unknown)])
      return MakeError(Code::kInvalidArgument,
                       "'unk_token' is '{}', which is not in the vocabulary", name);
    return OkStatus();
  }

  // --- the vocabulary ---

  void SetTypes() {
    types_.assign(texts_.size(), TokenType::kUnused);
    for (size_t id = 0; id < texts_.size(); ++id) {
      if (!in_model_[id]) continue;
      const bool byte = pipeline_.spelling.byte_fallback() && ByteOfToken(texts_[id]) >= 0;
      types_[id] = byte ? TokenType::kByte : TokenType::kNormal;
    }
    for (const AddedToken& added : added_)
      types_[static_cast<size_t>(added.token.id)] =
          added.token.control ? TokenType::kControl : TokenType::kUserDefined;
    if (roles_.unknown != kNoToken)
      types_[static_cast<size_t>(roles_.unknown)] = TokenType::kUnknown;
  }

  Vocabulary MakeVocabulary() {
    VocabularyParts parts = std::move(roles_);
    parts.offsets.reserve(texts_.size() + 1);
    for (const std::string_view text : texts_) {
      parts.offsets.push_back(static_cast<uint32_t>(parts.texts.size()));
      parts.texts += text;
    }
    parts.offsets.push_back(static_cast<uint32_t>(parts.texts.size()));
    parts.types = types_;
    return Vocabulary::FromParts(std::move(parts));
  }

  // No two tokens have one text.
  Status CheckTexts() const {
    const Vocabulary& vocabulary = *parts_.vocabulary;
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

  // Which tokens the model may make of text.
  std::vector<bool> Ordinary() const {
    std::vector<bool> ordinary = in_model_;
    for (size_t id = 0; id < ordinary.size(); ++id) {
      if (types_[id] == TokenType::kControl || types_[id] == TokenType::kUnknown)
        ordinary[id] = false;
    }
    return ordinary;
  }

  // --- the model ---

  Status MakeModel() {
    BATON_ASSIGN_OR_RETURN(const bool byte_fallback,
                           json_fields::BoolOr(*model_, "byte_fallback", false));
    if (!unigram_) return MakeBpe(byte_fallback);
    for (const auto& entry : document_.vocabulary) {
      if (entry.length > kUnigramTokenBytesMax)
        return MakeError(Code::kInvalidArgument, "token {} has {} bytes, more than {}", entry.id,
                         entry.length, kUnigramTokenBytesMax);
    }
    const UnigramOptions options{parts_.vocabulary->unknown(), byte_fallback};
    pipeline_.model = std::make_unique<const UnigramModel>(*parts_.vocabulary, Ordinary(),
                                                           std::move(document_.scores), options);
    return OkStatus();
  }

  Status MakeBpe(bool byte_fallback) {
    for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      BATON_ASSIGN_OR_RETURN(const std::string value, json_fields::StringOr(*model_, key, ""));
      if (!value.empty())
        return MakeError(Code::kUnimplemented, "'{}' of '{}' is not supported", key, value);
    }
    const boost::json::value* dropout = json_fields::Find(*model_, "dropout");
    if (dropout != nullptr && *dropout != boost::json::value(0.0))
      return MakeError(Code::kUnimplemented, "'dropout' is not supported");
    BpeOptions options{.unknown = parts_.vocabulary->unknown(), .byte_fallback = byte_fallback};
    BATON_ASSIGN_OR_RETURN(options.fuses_unknown, json_fields::BoolOr(*model_, "fuse_unk", false));
    BATON_ASSIGN_OR_RETURN(options.ignores_merges,
                           json_fields::BoolOr(*model_, "ignore_merges", false));
    BATON_ASSIGN_OR_RETURN(MergeTable merges, ReadMerges());
    pipeline_.model = std::make_unique<const BpeModel>(*parts_.vocabulary, Ordinary(),
                                                       std::move(merges), options);
    return OkStatus();
  }

  // Of two merges of one pair the last counts, so they go in backwards.
  Result<MergeTable> ReadMerges() {
    const Vocabulary& vocabulary = *parts_.vocabulary;
    std::vector<MergeTable::Merge> merges;
    merges.reserve(document_.merges.size());
    const std::string_view texts = document_.texts;
    for (size_t rank = document_.merges.size(); rank-- > 0;) {
      const auto& pair = document_.merges[rank];
      const std::string_view joined =
          texts.substr(pair.begin, pair.left_length + pair.right_length);
      TokenId ids[3];
      const std::string_view names[3] = {joined.substr(0, pair.left_length),
                                         joined.substr(pair.left_length), joined};
      for (size_t i = 0; i < 3; ++i) {
        ids[i] = vocabulary.Find(names[i]);
        if (ids[i] == kNoToken || !in_model_[static_cast<size_t>(ids[i])])
          return MakeError(Code::kInvalidArgument, "merge {} names '{}', which is no token", rank,
                           names[i]);
      }
      const TokenType type = vocabulary.TypeOf(ids[2]);
      if (type == TokenType::kControl || type == TokenType::kUnknown) continue;
      merges.push_back({ids[0], ids[1], static_cast<uint32_t>(rank), ids[2]});
    }
    return MergeTable(merges);
  }

  // --- tokens that are matched whole ---

  Status SortSpecialTokens() {
    std::vector<SpecialToken> as_they_come;
    std::vector<SpecialToken> normalized;
    for (const AddedToken& added : added_) {
      if (!added.normalized) {
        as_they_come.push_back(added.token);
        continue;
      }
      SpecialToken token = added.token;
      if (ValidUtf8Prefix(token.text) == token.text.size()) {
        BATON_ASSIGN_OR_RETURN(const MarkedText text,
                               pipeline_.normalizer.Apply({token.text, {}}, true));
        token.text = text.bytes;
      }
      normalized.push_back(std::move(token));
    }
    parts_.special = SpecialTokens(std::move(as_they_come));
    pipeline_.special = SpecialTokens(std::move(normalized));
    return OkStatus();
  }

  Status ReadEnds() {
    const boost::json::value* ends = json_fields::Find(generation_, "eos_token_id");
    if (ends == nullptr) return OkStatus();
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
      parts_.more_ends.push_back(static_cast<TokenId>(id));
    }
    return OkStatus();
  }

  TokenizerDocument document_;
  const object config_;
  const object generation_;
  const int32_t vocab_size_;
  const object* model_ = nullptr;
  bool unigram_ = false;
  std::deque<AddedToken> added_;         // never moves them: `texts_` points into it
  std::vector<std::string_view> texts_;  // by id, in document_ or in added_
  std::vector<bool> in_model_;           // by id: the model's own
  std::vector<TokenType> types_;
  VocabularyParts roles_;
  PipelineParts pipeline_;
  TokenizerParts parts_;
};

Result<std::string> ChatTemplateOf(const object& config) {
  const boost::json::value* value = json_fields::Find(config, "chat_template");
  if (value == nullptr) return std::string();
  if (value->is_string()) return std::string(value->get_string());
  if (!value->is_array())
    return MakeError(Code::kInvalidArgument, "'chat_template' is {}, not a string",
                     json_fields::KindOf(*value));
  for (const auto& entry : value->get_array()) {
    if (!entry.is_object()) continue;
    const object& named = entry.get_object();
    if (NamedToken(named.if_contains("name")) != "default") continue;
    return json_fields::String(named, "template");
  }
  return std::string();
}

Result<object> ParseIfThere(std::string_view json, std::string_view what) {
  if (json.empty()) return object();
  return ParseBoundedObject(json, what);
}

}  // namespace

Result<HubTokenizer> ReadTokenizerFiles(const TokenizerFiles& files, int32_t vocab_size) {
  CHECK(vocab_size >= 0 && vocab_size <= kVocabularySizeMax, "{} rows", vocab_size);
  BATON_ASSIGN_OR_RETURN(TokenizerDocument document, ParseTokenizerDocument(files.tokenizer_json));
  BATON_ASSIGN_OR_RETURN(object config,
                         ParseIfThere(files.tokenizer_config, "tokenizer_config.json"));
  BATON_ASSIGN_OR_RETURN(object generation,
                         ParseIfThere(files.generation_config, "generation_config.json"));
  std::string source(files.chat_template);
  if (source.empty()) {
    BATON_ASSIGN_OR_RETURN(source, ChatTemplateOf(config));
  }
  auto tokenizer =
      Reader(std::move(document), std::move(config), std::move(generation), vocab_size).Read();
  if (!tokenizer.ok()) return tokenizer.error().Within("tokenizer.json");
  return HubTokenizer{*std::move(tokenizer), std::move(source)};
}

Result<std::string> ChatTemplateIn(std::string_view tokenizer_config) {
  BATON_ASSIGN_OR_RETURN(const object config,
                         ParseBoundedObject(tokenizer_config, "tokenizer_config.json"));
  return ChatTemplateOf(config);
}

}  // namespace baton
