#include "model/tokenizer/sentence_piece_model.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <unordered_set>

#include "base/bytes.h"
#include "base/free.h"
#include "model/tokenizer/pipeline/json_fields.h"
#include "model/tokenizer/pipeline/tokenizer_document.h"
#include "model/tokenizer/pipeline/unigram_model.h"
#include "model/tokenizer/score_bpe_model.h"
#include "model/tokenizer/sentence_piece.h"
#include "model/tokenizer/sentence_piece_file.h"
#include "model/tokenizer/token_table.h"

namespace baton {
namespace {

using boost::json::object;

constexpr std::string_view kModel = "tokenizer.model";
constexpr std::string_view kConfig = "tokenizer_config.json";
constexpr std::string_view kAddedTokens = "added_tokens.json";
constexpr std::string_view kSpecialTokensMap = "special_tokens_map.json";

Result<object> ParseIfThere(std::string_view json, std::string_view what) {
  if (json.empty()) return object();
  return ParseBoundedObject(json, what);
}

class Reader {
 public:
  Reader(SentencePieceFile file, const object& config, const object& roles,
         const object& added_tokens, int32_t vocab_size)
      : file_(std::move(file)),
        config_(config),
        roles_(roles),
        added_tokens_(added_tokens),
        table_(vocab_size) {}

  Result<Tokenizer> Read(const object& generation) {
    BATON_RETURN_IF_ERROR(ReadAddedTokens());
    BATON_RETURN_IF_ERROR(PlacePieces());
    BATON_RETURN_IF_ERROR(ReadRoles());
    BATON_RETURN_IF_ERROR(ReadAround());
    BATON_ASSIGN_OR_RETURN(Vocabulary vocabulary,
                           table_.Finish(parts_.around, std::move(file_.scores)));
    parts_.vocabulary = std::make_unique<const Vocabulary>(std::move(vocabulary));
    parts_.special = MatchedWhole();
    BATON_ASSIGN_OR_RETURN(parts_.more_ends, table_.ReadEnds(generation));
    Forget();
    BATON_ASSIGN_OR_RETURN(parts_.encoder, MakeEncoder());
    parts_.kind = file_.unigram ? "sentencepiece unigram" : "sentencepiece bpe";
    return Tokenizer::FromParts(std::move(parts_));
  }

 private:
  // Of both files that may name them; tokenizer_config.json knows more.
  Status ReadAddedTokens() {
    std::map<TokenId, AddedToken> added;
    for (const auto& [text, value] : added_tokens_) {
      const int64_t id = value.is_int64() ? value.get_int64() : -1;
      if (id < 0 || id >= kVocabularySizeMax)
        return MakeError(Code::kInvalidArgument, "{}: token '{}' has no id below {}", kAddedTokens,
                         std::string_view(text), kVocabularySizeMax);
      AddedToken& token = added[static_cast<TokenId>(id)];
      token.token = {
          .text = text, .id = static_cast<TokenId>(id), .control = LooksLikeControl(text)};
    }
    if (const auto* decoder = json_fields::Find(config_, "added_tokens_decoder")) {
      BATON_ASSIGN_OR_RETURN(const object* entries,
                             json_fields::Object(*decoder, "added_tokens_decoder"));
      for (const auto& [key, value] : *entries) {
        BATON_ASSIGN_OR_RETURN(AddedToken token, ReadDecoderEntry(key, value));
        const TokenId id = token.token.id;
        added[id] = std::move(token);
      }
    }
    for (auto& [id, token] : added) table_.Add(std::move(token));
    return OkStatus();
  }

  static Result<AddedToken> ReadDecoderEntry(std::string_view key,
                                             const boost::json::value& value) {
    int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size())
      return MakeError(Code::kInvalidArgument, "{}: added token '{}' has no id", kConfig, key);
    BATON_ASSIGN_OR_RETURN(const object* fields,
                           json_fields::Object(value, "added_tokens_decoder"));
    auto token = ReadAddedToken(*fields, id);
    if (!token.ok()) return token.error().Within(kConfig);
    return token;
  }

  Status PlacePieces() {
    BATON_RETURN_IF_ERROR(table_.Place(file_.types.size(), [this](size_t i) {
      const auto id = static_cast<TokenId>(i);
      return TokenTable::Own{file_.TextOf(id), id};
    }));
    for (TokenId id = 0; id < file_.size(); ++id) {
      const TokenType type = file_.types[static_cast<size_t>(id)];
      const bool steers = type == TokenType::kUserDefined && LooksLikeControl(file_.TextOf(id));
      table_.SetType(id, steers ? TokenType::kControl : type);
    }
    Free(file_.types);
    return OkStatus();
  }

  // All that the vocabulary has by now.
  void Forget() {
    Free(file_.places);
    Free(file_.lengths);
  }

  // The file's own roles, then those that configurations give.
  Status ReadRoles() {
    table_.SetBos(file_.bos);
    table_.SetEos(file_.eos);
    table_.SetUnknown(file_.unknown);
    BATON_RETURN_IF_ERROR(table_.ReadRoles(roles_, kSpecialTokensMap));
    BATON_RETURN_IF_ERROR(table_.ReadRoles(config_, kConfig));
    std::unordered_set<std::string> names;
    for (const object* file : {&roles_, &config_}) {
      const auto* more = json_fields::Find(*file, "additional_special_tokens");
      if (more == nullptr || !more->is_array()) continue;
      for (const auto& entry : more->get_array()) {
        if (auto name = NamedToken(&entry)) names.insert(*std::move(name));
      }
    }
    table_.MakeControl(names);
    return OkStatus();
  }

  // T5's class puts EOS behind a text, all others BOS in front, if they are not told otherwise.
  Status ReadAround() {
    const std::string name = NamedToken(config_.if_contains("tokenizer_class")).value_or("");
    const bool like_t5 = name.starts_with("T5") || name.starts_with("MT5") ||
                         name.starts_with("UMT5") || (name.empty() && table_.bos() == kNoToken);
    BATON_ASSIGN_OR_RETURN(const bool bos, json_fields::BoolOr(config_, "add_bos_token", !like_t5));
    BATON_ASSIGN_OR_RETURN(const bool eos, json_fields::BoolOr(config_, "add_eos_token", like_t5));
    if (bos && table_.bos() != kNoToken) parts_.around.before.push_back(table_.bos());
    if (eos && table_.eos() != kNoToken) parts_.around.behind.push_back(table_.eos());
    return OkStatus();
  }

  // Added tokens, and all that steer. (User-defined pieces are the encoder's.)
  SpecialTokens MatchedWhole() const {
    std::vector<SpecialToken> tokens;
    for (const AddedToken& added : table_.added()) tokens.push_back(added.token);
    return SpecialTokens(tokens).With(*parts_.vocabulary, TokenType::kControl);
  }

  Result<std::unique_ptr<const TextEncoder>> MakeEncoder() {
    const Vocabulary& vocabulary = *parts_.vocabulary;
    SentencePieceParts parts;
    BATON_ASSIGN_OR_RETURN(parts.rules.adds_space,
                           json_fields::BoolOr(config_, "add_prefix_space", file_.adds_space));
    parts.rules.removes_extra_spaces = file_.removes_extra_spaces;
    parts.rules.kept = SpecialTokens().With(vocabulary, TokenType::kUserDefined);
    if (!file_.character_map.empty()) {
      BATON_ASSIGN_OR_RETURN(CharacterMap map, CharacterMap::FromBytes(file_.character_map));
      parts.rules.characters = std::move(map);
    }
    BATON_ASSIGN_OR_RETURN(const bool legacy, json_fields::BoolOr(config_, "legacy", true));
    parts.space_only_first = !legacy;
    if (file_.unigram) {
      BATON_RETURN_IF_ERROR(UnigramModel::CheckTexts(vocabulary));
      parts.model = MakeSentencePieceUnigram(vocabulary, file_.byte_fallback);
    } else {
      parts.cuts_at_kept = true;
      parts.model = std::make_unique<const ScoreBpeModel>(vocabulary, file_.byte_fallback);
    }
    return std::unique_ptr<const TextEncoder>(
        std::make_unique<const SentencePieceEncoder>(std::move(parts)));
  }

  SentencePieceFile file_;
  const object& config_;
  const object& roles_;
  const object& added_tokens_;
  TokenTable table_;
  TokenizerParts parts_;
};

}  // namespace

Result<Tokenizer> ReadSentencePieceModel(const TokenizerFiles& files, const object& config,
                                         const object& generation, int32_t vocab_size) {
  auto file = ParseSentencePieceFile(AsBytes(files.tokenizer_model));
  if (!file.ok()) return file.error().Within(kModel);
  BATON_ASSIGN_OR_RETURN(const object roles,
                         ParseIfThere(files.special_tokens_map, kSpecialTokensMap));
  BATON_ASSIGN_OR_RETURN(const object added_tokens, ParseIfThere(files.added_tokens, kAddedTokens));
  auto tokenizer =
      Reader(*std::move(file), config, roles, added_tokens, vocab_size).Read(generation);
  if (!tokenizer.ok()) return tokenizer.error().Within(kModel);
  return tokenizer;
}

}  // namespace baton
