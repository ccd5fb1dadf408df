#include "model/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "model/text/utf8.h"
#include "model/tokenizer/pipeline/bpe_model.h"
#include "model/tokenizer/pipeline/json_fields.h"
#include "model/tokenizer/pipeline/pipeline_encoder.h"
#include "model/tokenizer/pipeline/tokenizer_document.h"
#include "model/tokenizer/pipeline/unigram_model.h"
#include "model/tokenizer/sentence_piece_model.h"
#include "model/tokenizer/token_table.h"

namespace baton {
namespace {

using boost::json::array;
using boost::json::object;

// The tokens that a post-processor puts around a text, by their texts.
struct Around {
  std::vector<std::string> before;
  std::vector<std::string> behind;
};
constexpr size_t kAroundMax = 16;

Status CheckCount(const Around& around) {
  if (around.before.size() + around.behind.size() <= kAroundMax) return OkStatus();
  return MakeError(Code::kInvalidArgument, "the post-processor adds more than {} tokens",
                   kAroundMax);
}

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
    (text_seen ? around.behind : around.before).push_back(std::move(id));
    BATON_RETURN_IF_ERROR(CheckCount(around));
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
    // Each works on what the one before it made.
    BATON_ASSIGN_OR_RETURN(const Around around, ReadPostProcessor(item, depth + 1));
    all.before.insert(all.before.begin(), around.before.begin(), around.before.end());
    all.behind.insert(all.behind.end(), around.behind.begin(), around.behind.end());
    BATON_RETURN_IF_ERROR(CheckCount(all));
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
        tokens_(std::make_shared<const ListedTokens>(std::move(document_.tokens))),
        config_(std::move(config)),
        generation_(std::move(generation)),
        table_(vocab_size) {}

  Result<Tokenizer> Read() {
    BATON_RETURN_IF_ERROR(ReadModelFields());
    BATON_RETURN_IF_ERROR(ReadAddedTokens());
    BATON_RETURN_IF_ERROR(ReadPipeline());
    BATON_RETURN_IF_ERROR(PlaceTokens());
    BATON_RETURN_IF_ERROR(table_.ReadRoles(config_, "tokenizer_config.json"));
    BATON_RETURN_IF_ERROR(ReadAround());
    BATON_RETURN_IF_ERROR(ReadUnknown());
    MarkBytes();
    tokens_.reset();
    BATON_ASSIGN_OR_RETURN(Vocabulary vocabulary, table_.Finish(parts_.around));
    parts_.vocabulary = std::make_unique<const Vocabulary>(std::move(vocabulary));
    BATON_RETURN_IF_ERROR(MakeModel());
    BATON_RETURN_IF_ERROR(SortSpecialTokens());
    BATON_ASSIGN_OR_RETURN(parts_.more_ends, table_.ReadEnds(generation_));
    parts_.encoder = std::make_unique<const PipelineEncoder>(std::move(pipeline_));
    return Tokenizer::FromParts(std::move(parts_));
  }

 private:
  const boost::json::value& Member(std::string_view key) const {
    static const boost::json::value kNone;
    const boost::json::value* value = json_fields::Find(document_.rest, key);
    return value == nullptr ? kNone : *value;
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
    if (tokens_->empty())
      return MakeError(Code::kInvalidArgument, "'model.vocab' has no vocabulary");
    const bool scored = document_.scores.size() == tokens_->size();
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
      table_.Add(std::move(added));
    }
    return OkStatus();
  }

  Status ReadPipeline() {
    BATON_ASSIGN_OR_RETURN(pipeline_.normalizer, Normalizer::FromJson(Member("normalizer")));
    BATON_ASSIGN_OR_RETURN(pipeline_.splitter, Splitter::FromJson(Member("pre_tokenizer")));
    const boost::json::value& decoder = Member("decoder");
    if (!decoder.is_null()) {
      BATON_ASSIGN_OR_RETURN(pipeline_.spelling, Spelling::FromJson(decoder));
    } else if (pipeline_.splitter.writes_bytes()) {
      pipeline_.spelling = Spelling::OfBytes();
    } else {
      pipeline_.spelling = Spelling::OfSpaceMarks(pipeline_.splitter.adds_space());
    }
    return OkStatus();
  }

  Status PlaceTokens() {
    return table_.Place(tokens_->size(), [tokens = tokens_](size_t i) {
      return TokenTable::Own{tokens->TextOf(i), tokens->IdOf(i)};
    });
  }

  // What stands around a text; a token that is alone on its side is BOS or EOS if no other is.
  Status ReadAround() {
    BATON_ASSIGN_OR_RETURN(const Around around, ReadPostProcessor(Member("post_processor")));
    BATON_ASSIGN_OR_RETURN(parts_.around.before, IdsOf(around.before));
    BATON_ASSIGN_OR_RETURN(parts_.around.behind, IdsOf(around.behind));
    const auto only = [](const std::vector<TokenId>& ids) {
      return ids.size() == 1 ? ids.front() : kNoToken;
    };
    if (table_.bos() == kNoToken) table_.SetBos(only(parts_.around.before));
    if (table_.eos() == kNoToken) table_.SetEos(only(parts_.around.behind));
    if (!ObeysConfiguration(config_)) return OkStatus();
    BATON_ASSIGN_OR_RETURN(parts_.around.before, IfAdded("add_bos_token", true, table_.bos()));
    BATON_ASSIGN_OR_RETURN(parts_.around.behind, IfAdded("add_eos_token", false, table_.eos()));
    return OkStatus();
  }

  Result<std::vector<TokenId>> IdsOf(const std::vector<std::string>& texts) {
    std::vector<TokenId> ids;
    for (const std::string& text : texts) {
      ids.push_back(table_.Find(text));
      if (ids.back() == kNoToken)
        return MakeError(Code::kInvalidArgument,
                         "the post-processor adds '{}', which is not in the vocabulary", text);
      table_.AddControl(ids.back());
    }
    return ids;
  }

  Result<std::vector<TokenId>> IfAdded(std::string_view flag, bool otherwise, TokenId token) const {
    BATON_ASSIGN_OR_RETURN(const bool adds, json_fields::BoolOr(config_, flag, otherwise));
    std::vector<TokenId> ids;
    if (adds && token != kNoToken) ids.push_back(token);
    return ids;
  }

  Status ReadUnknown() {
    if (unigram_) {
      if (json_fields::Find(*model_, "unk_id") == nullptr) return OkStatus();
      BATON_ASSIGN_OR_RETURN(const int64_t id, json_fields::Integer(*model_, "unk_id"));
      if (id < 0 || id >= static_cast<int64_t>(tokens_->size()))
        return MakeError(Code::kInvalidArgument, "'unk_id' is {} in a vocabulary of {}", id,
                         tokens_->size());
      table_.SetUnknown(static_cast<TokenId>(id));
      return OkStatus();
    }
    BATON_ASSIGN_OR_RETURN(const std::string name, json_fields::StringOr(*model_, "unk_token", ""));
    if (name.empty()) return OkStatus();
    const TokenId id = table_.Find(name);
    if (id == kNoToken || !table_.IsOwn(id))
      return MakeError(Code::kInvalidArgument,
                       "'unk_token' is '{}', which is not in the vocabulary", name);
    table_.SetUnknown(id);
    return OkStatus();
  }

  void MarkBytes() {
    if (!pipeline_.spelling.byte_fallback()) return;
    for (size_t i = 0; i < tokens_->size(); ++i) {
      if (ByteOfToken(tokens_->TextOf(i)) >= 0) table_.SetType(tokens_->IdOf(i), TokenType::kByte);
    }
  }

  Status MakeModel() {
    BATON_ASSIGN_OR_RETURN(const bool byte_fallback,
                           json_fields::BoolOr(*model_, "byte_fallback", false));
    if (!unigram_) return MakeBpe(byte_fallback);
    BATON_RETURN_IF_ERROR(UnigramModel::CheckTexts(*parts_.vocabulary));
    const UnigramOptions options{.unknown = parts_.vocabulary->unknown(),
                                 .byte_fallback = byte_fallback};
    pipeline_.model = std::make_unique<const UnigramModel>(*parts_.vocabulary,
                                                           table_.Ordinary(*parts_.vocabulary),
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
    pipeline_.model = std::make_unique<const BpeModel>(
        *parts_.vocabulary, table_.Ordinary(*parts_.vocabulary), std::move(merges), options);
    return OkStatus();
  }

  // Of two merges of one pair the last counts.
  Result<MergeTable> ReadMerges() {
    MergeTable merges(document_.n_merges, *parts_.vocabulary);
    uint32_t rank = 0;
    std::string joined;
    TokenId expected = kNoToken;  // most vocabularies are in the order of their merges
    BATON_RETURN_IF_ERROR(
        ForEachMerge(document_, [&](std::string_view left, std::string_view right) -> Status {
          joined.assign(left).append(right);
          MergeTable::Merge merge = {.rank = rank++};
          BATON_ASSIGN_OR_RETURN(merge.left, MergedToken(left, merge.rank));
          BATON_ASSIGN_OR_RETURN(merge.right, MergedToken(right, merge.rank));
          BATON_ASSIGN_OR_RETURN(merge.merged, MergedToken(joined, merge.rank, expected));
          expected = merge.merged + 1;
          const TokenType type = parts_.vocabulary->TypeOf(merge.merged);
          if (type != TokenType::kControl && type != TokenType::kUnknown) merges.Set(merge);
          return OkStatus();
        }));
    return merges;
  }

  Result<TokenId> MergedToken(std::string_view text, uint32_t rank,
                              TokenId guess = kNoToken) const {
    const TokenId id = parts_.vocabulary->Find(text, guess);
    if (id != kNoToken && table_.IsOwn(id)) return id;
    return MakeError(Code::kInvalidArgument, "merge {} names '{}', which is no token", rank, text);
  }

  Status SortSpecialTokens() {
    std::deque<SpecialToken> as_they_come;
    std::deque<SpecialToken> normalized;
    for (auto added = table_.TakeAdded(); !added.empty(); added.pop_front()) {
      SpecialToken& token = added.front().token;
      if (!added.front().normalized) {
        as_they_come.push_back(std::move(token));
        continue;
      }
      if (ValidUtf8Prefix(token.text) == token.text.size()) {
        BATON_ASSIGN_OR_RETURN(const MarkedText text,
                               pipeline_.normalizer.Apply({token.text, {}}, true));
        token.text = text.bytes;
      }
      normalized.push_back(std::move(token));
    }
    parts_.special = SpecialTokens(as_they_come);
    pipeline_.special = SpecialTokens(normalized);
    return OkStatus();
  }

  TokenizerDocument document_;
  std::shared_ptr<const ListedTokens> tokens_;  // until the vocabulary has them
  const object config_;
  const object generation_;
  TokenTable table_;
  const object* model_ = nullptr;
  bool unigram_ = false;
  PipelineParts pipeline_;
  TokenizerParts parts_;
};

Result<Tokenizer> ReadTokenizerJson(std::string_view json, object config, object generation,
                                    int32_t vocab_size) {
  BATON_ASSIGN_OR_RETURN(TokenizerDocument document, ParseTokenizerDocument(json));
  auto tokenizer =
      Reader(std::move(document), std::move(config), std::move(generation), vocab_size).Read();
  if (!tokenizer.ok()) return tokenizer.error().Within("tokenizer.json");
  return tokenizer;
}

Result<object> ParseIfThere(std::string_view json, std::string_view what,
                            std::string_view left_out = "") {
  if (json.empty()) return object();
  return ParseBoundedObject(json, what, {.left_out = left_out});
}

}  // namespace

Result<HubTokenizer> ReadTokenizerFiles(const TokenizerFiles& files, int32_t vocab_size) {
  CHECK(vocab_size >= 0 && vocab_size <= kVocabularySizeMax, "{} rows", vocab_size);
  const bool sentence_piece = files.tokenizer_json.empty() && !files.tokenizer_model.empty();
  BATON_ASSIGN_OR_RETURN(object config,
                         ParseIfThere(files.tokenizer_config, "tokenizer_config.json",
                                      sentence_piece ? "" : kAddedTokensDecoder));
  BATON_ASSIGN_OR_RETURN(object generation,
                         ParseIfThere(files.generation_config, "generation_config.json"));
  ChatTemplates templates{.standard = std::string(files.chat_template),
                          .with_tools = std::string(files.tool_template)};
  if (templates.empty()) {
    BATON_ASSIGN_OR_RETURN(templates, ChatTemplatesOf(config));
  }
  auto tokenizer = sentence_piece ? ReadSentencePieceModel(files, config, generation, vocab_size)
                                  : ReadTokenizerJson(files.tokenizer_json, std::move(config),
                                                      std::move(generation), vocab_size);
  if (!tokenizer.ok()) return tokenizer.error();
  return HubTokenizer{*std::move(tokenizer), std::move(templates)};
}

}  // namespace baton
