#include "model/tokenizer/vocabulary.h"

#include <cmath>
#include <cstring>

#include "model/tokenizer/pre_tokenizer_families.h"

namespace baton {
namespace {

using gguf::Metadata;
using gguf::Value;
using gguf::ValueType;

constexpr uint64_t kTextBytesMax = 256 << 20;

constexpr uint32_t kTokenBits = 22;
constexpr uint32_t kTokenMask = (1u << kTokenBits) - 1;
constexpr uint32_t kEmptySlot = UINT32_MAX;
static_assert(kVocabularySizeMax <= int64_t{1} << kTokenBits);

// What stands above a token in its slot; never all ones, as in an empty one.
uint32_t TagOf(size_t hash) {
  constexpr uint32_t kAllOnes = UINT32_MAX >> kTokenBits;
  const uint32_t low = static_cast<uint32_t>(hash) & kAllOnes;
  return (low == kAllOnes ? 0 : low) << kTokenBits;
}

TokenId TokenIn(uint32_t slot) {
  return static_cast<TokenId>(slot & kTokenMask);
}

}  // namespace

Result<Vocabulary> Vocabulary::FromMetadata(const Metadata& metadata) {
  Vocabulary vocabulary;
  BATON_RETURN_IF_ERROR(vocabulary.ReadTokens(metadata));
  BATON_RETURN_IF_ERROR(vocabulary.ReadScores(metadata));
  BATON_RETURN_IF_ERROR(vocabulary.ReadRoles(metadata));
  BATON_RETURN_IF_ERROR(vocabulary.ReadTypes(metadata));
  vocabulary.BuildIndex();
  return vocabulary;
}

Vocabulary Vocabulary::FromParts(VocabularyParts parts) {
  CHECK(parts.offsets.size() == parts.types.size() + 1);
  CHECK(parts.offsets.back() == parts.texts.size());
  CHECK(parts.scores.empty() || parts.scores.size() == parts.types.size());
  Vocabulary vocabulary;
  vocabulary.arena_ = std::move(parts.texts);
  vocabulary.offsets_ = std::move(parts.offsets);
  vocabulary.types_ = std::move(parts.types);
  vocabulary.scores_ = std::move(parts.scores);
  vocabulary.bos_ = parts.bos;
  vocabulary.eos_ = parts.eos;
  vocabulary.unknown_ = parts.unknown;
  vocabulary.adds_bos_ = parts.adds_bos;
  vocabulary.adds_eos_ = parts.adds_eos;
  vocabulary.BuildIndex();
  return vocabulary;
}

Status Vocabulary::ReadTokens(const Metadata& metadata) {
  BATON_ASSIGN_OR_RETURN(const Value tokens,
                         metadata.Array("tokenizer.ggml.tokens", ValueType::kString));
  if (tokens.count == 0 || tokens.count > static_cast<uint64_t>(kVocabularySizeMax))
    return MakeError(Code::kInvalidArgument, "tokenizer.ggml.tokens has {} tokens, not 1 to {}",
                     tokens.count, kVocabularySizeMax);
  if (tokens.bytes.size() > kTextBytesMax)
    return MakeError(Code::kInvalidArgument, "tokenizer.ggml.tokens has {} bytes, more than {}",
                     tokens.bytes.size(), kTextBytesMax);
  arena_.reserve(tokens.bytes.size() - tokens.count * sizeof(uint64_t));
  offsets_.reserve(tokens.count + 1);
  gguf::StringCursor cursor(tokens);
  for (uint64_t i = 0; i < tokens.count; ++i) {
    offsets_.push_back(static_cast<uint32_t>(arena_.size()));
    arena_ += cursor.Next();
  }
  offsets_.push_back(static_cast<uint32_t>(arena_.size()));
  types_.assign(tokens.count, TokenType::kNormal);
  return OkStatus();
}

Status Vocabulary::ReadScores(const Metadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.ggml.scores";
  if (!metadata.Has(kKey)) return OkStatus();
  BATON_ASSIGN_OR_RETURN(const Value scores, metadata.Array(kKey, ValueType::kFloat32));
  if (scores.count != types_.size())
    return MakeError(Code::kInvalidArgument, "{} has {} scores for {} tokens", kKey, scores.count,
                     types_.size());
  scores_.resize(scores.count);
  std::memcpy(scores_.data(), scores.bytes.data(), scores.bytes.size());
  for (size_t i = 0; i < scores_.size(); ++i) {
    if (std::isnan(scores_[i]))
      return MakeError(Code::kInvalidArgument, "{}: the score of token {} is not a number", kKey,
                       i);
  }
  return OkStatus();
}

// Files without types: all tokens are normal but those that have a role.
Status Vocabulary::ReadTypes(const Metadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  if (!metadata.Has(kKey)) {
    for (const TokenId id : {bos_, eos_, eot_}) {
      if (id != kNoToken) types_[static_cast<size_t>(id)] = TokenType::kControl;
    }
    return OkStatus();
  }
  BATON_ASSIGN_OR_RETURN(const Value types, metadata.Array(kKey, ValueType::kInt32));
  if (types.count != types_.size())
    return MakeError(Code::kInvalidArgument, "{} has {} types for {} tokens", kKey, types.count,
                     types_.size());
  ByteReader reader(types.bytes);
  for (size_t i = 0; i < types_.size(); ++i) {
    const auto type = reader.Read<int32_t>();
    if (type < 0 || type > static_cast<int32_t>(TokenType::kByte))
      return MakeError(Code::kInvalidArgument, "{}: token {} has type {}", kKey, i, type);
    types_[i] = type == 0 ? TokenType::kNormal : static_cast<TokenType>(type);
  }
  return OkStatus();
}

Result<TokenId> Vocabulary::Role(const Metadata& metadata, std::string_view name,
                                 TokenId otherwise) const {
  const int64_t last = size() - 1;
  BATON_ASSIGN_OR_RETURN(
      const int64_t id, metadata.IntegerOr(fmt::format("tokenizer.ggml.{}_token_id", name), 0, last,
                                           otherwise <= last ? otherwise : kNoToken));
  return static_cast<TokenId>(id);
}

// Where a file is silent, each kind of tokenizer has roles of its own: those of SentencePiece's
// trainer, or of T5.
Status Vocabulary::ReadRoles(const Metadata& metadata) {
  struct Defaults {
    std::string_view model;
    TokenId unknown = kNoToken;
    TokenId bos = kNoToken;
    TokenId eos = kNoToken;
    bool adds_bos = false;
    bool adds_eos = false;
  };
  constexpr Defaults kKinds[] = {{"llama", 0, 1, 2, true, false},
                                 {"t5", 2, kNoToken, 1, false, true},
                                 {"gemma4", 3, 2, 1, true, false}};
  BATON_ASSIGN_OR_RETURN(const auto model, metadata.StringOr("tokenizer.ggml.model", ""));
  Defaults kind;
  for (const Defaults& known : kKinds) {
    if (known.model == model) kind = known;
  }
  BATON_ASSIGN_OR_RETURN(const auto pre, metadata.StringOr("tokenizer.ggml.pre", ""));
  if (const auto family = FindPreTokenizerFamily(pre); family && model == "gpt2")
    kind.adds_bos = family->adds_bos;
  BATON_ASSIGN_OR_RETURN(unknown_, Role(metadata, "unknown", kind.unknown));
  BATON_ASSIGN_OR_RETURN(bos_, Role(metadata, "bos", kind.bos));
  BATON_ASSIGN_OR_RETURN(eos_, Role(metadata, "eos", kind.eos));
  BATON_ASSIGN_OR_RETURN(eot_, Role(metadata, "eot", kNoToken));
  BATON_ASSIGN_OR_RETURN(adds_bos_, metadata.BoolOr("tokenizer.ggml.add_bos_token", kind.adds_bos));
  BATON_ASSIGN_OR_RETURN(adds_eos_, metadata.BoolOr("tokenizer.ggml.add_eos_token", kind.adds_eos));
  return OkStatus();
}

void Vocabulary::BuildIndex() {
  slots_.assign(types_.size() + types_.size() / 3 + 1, kEmptySlot);
  for (TokenId id = 0; id < size(); ++id) {
    const std::string_view text = TextOf(id);
    const size_t hash = std::hash<std::string_view>{}(text);
    uint32_t& slot = slots_[SlotOf(text, hash)];
    if (slot == kEmptySlot)
      slot = TagOf(hash) | static_cast<uint32_t>(id);
    else
      repeats_texts_ = repeats_texts_ || !text.empty();
  }
}

// The slot that holds the token of this text, or the empty one where it would go.
size_t Vocabulary::SlotOf(std::string_view text, size_t hash) const {
  const uint32_t tag = TagOf(hash);
  const auto holds = [&](uint32_t slot) {
    return (slot & ~kTokenMask) == tag && TextOf(TokenIn(slot)) == text;
  };
  auto slot = static_cast<size_t>(static_cast<__uint128_t>(hash) * slots_.size() >> 64);
  while (slots_[slot] != kEmptySlot && !holds(slots_[slot]))
    slot = slot + 1 == slots_.size() ? 0 : slot + 1;
  return slot;
}

std::string_view Vocabulary::TextOf(TokenId id) const {
  const auto index = static_cast<size_t>(id);
  return std::string_view(arena_).substr(offsets_[index], offsets_[index + 1] - offsets_[index]);
}

TokenId Vocabulary::Find(std::string_view stored_text) const {
  const uint32_t slot = slots_[SlotOf(stored_text, std::hash<std::string_view>{}(stored_text))];
  return slot == kEmptySlot ? kNoToken : TokenIn(slot);
}

TokenId Vocabulary::Find(std::string_view stored_text, TokenId guess) const {
  const bool right =
      !repeats_texts_ && !stored_text.empty() && Contains(guess) && TextOf(guess) == stored_text;
  return right ? guess : Find(stored_text);
}

}  // namespace baton
