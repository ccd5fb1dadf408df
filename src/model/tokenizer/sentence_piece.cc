#include "model/tokenizer/sentence_piece.h"

#include <algorithm>
#include <limits>

#include "model/tokenizer/pipeline/unigram_model.h"
#include "model/tokenizer/score_bpe_model.h"

namespace baton {
namespace {

using gguf::Metadata;
using gguf::Value;
using gguf::ValueType;

// Arrays of bytes with a sign or without one.
Result<std::optional<CharacterMap>> ReadCharacterMap(const Metadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
  const Value* value = metadata.Find(kKey);
  if (value == nullptr) return std::optional<CharacterMap>();
  const bool is_signed = value->element_type == ValueType::kInt8;
  BATON_ASSIGN_OR_RETURN(const Value bytes,
                         metadata.Array(kKey, is_signed ? ValueType::kInt8 : ValueType::kUint8));
  BATON_ASSIGN_OR_RETURN(CharacterMap map, CharacterMap::FromBytes(bytes.bytes));
  return std::optional<CharacterMap>(std::move(map));
}

}  // namespace

std::unique_ptr<const PieceModel> MakeSentencePieceUnigram(const Vocabulary& vocabulary,
                                                           bool byte_fallback) {
  std::vector<bool> ordinary;
  ordinary.reserve(static_cast<size_t>(vocabulary.size()));
  float lowest = std::numeric_limits<float>::max();
  // The library begins with the smallest positive float, so that user-defined tokens, which score
  // by it, win over all others, whose scores are negative.
  float highest = std::numeric_limits<float>::min();
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.TypeOf(id);
    ordinary.push_back(type == TokenType::kNormal || type == TokenType::kUserDefined);
    if (type != TokenType::kNormal) continue;
    lowest = std::min(lowest, vocabulary.ScoreOf(id));
    highest = std::max(highest, vocabulary.ScoreOf(id));
  }
  return std::make_unique<const UnigramModel>(vocabulary, std::move(ordinary),
                                              std::vector<double>(),
                                              UnigramOptions{.unknown = vocabulary.unknown(),
                                                             .byte_fallback = byte_fallback,
                                                             .lowest_score = lowest,
                                                             .user_defined_score = highest});
}

Result<std::unique_ptr<const TextEncoder>> SentencePieceEncoder::Create(
    const Metadata& metadata, const Vocabulary& vocabulary) {
  BATON_ASSIGN_OR_RETURN(const auto kind, metadata.String("tokenizer.ggml.model"));
  const bool unigram = kind == "t5";
  SentencePieceParts parts;
  BATON_ASSIGN_OR_RETURN(parts.rules.adds_space,
                         metadata.BoolOr("tokenizer.ggml.add_space_prefix", true));
  BATON_ASSIGN_OR_RETURN(parts.rules.removes_extra_spaces,
                         metadata.BoolOr("tokenizer.ggml.remove_extra_whitespaces", false));
  BATON_ASSIGN_OR_RETURN(parts.rules.characters, ReadCharacterMap(metadata));
  if (unigram) {
    BATON_RETURN_IF_ERROR(UnigramModel::CheckTexts(vocabulary));
    parts.model = MakeSentencePieceUnigram(vocabulary, true);
  } else {
    parts.model = std::make_unique<const ScoreBpeModel>(vocabulary, true);
  }
  return std::unique_ptr<const TextEncoder>(
      std::make_unique<const SentencePieceEncoder>(std::move(parts)));
}

SentencePieceEncoder::SentencePieceEncoder(SentencePieceParts parts)
    : normalizer_(std::move(parts.rules)),
      model_(std::move(parts.model)),
      cuts_at_kept_(parts.cuts_at_kept),
      space_only_first_(parts.space_only_first) {}

Result<std::vector<TokenId>> SentencePieceEncoder::Encode(const PlainText& plain) const {
  const bool adds_space = space_only_first_ ? plain.first : plain.starts;
  BATON_ASSIGN_OR_RETURN(const std::string text, normalizer_.Apply(plain.text, adds_space));
  if (!cuts_at_kept_) return model_->Encode(text);
  std::vector<TokenId> tokens;
  for (const TextFragment& fragment : normalizer_.rules().kept.Split(text, {})) {
    if (fragment.token != kNoToken) {
      tokens.push_back(fragment.token);
      continue;
    }
    BATON_ASSIGN_OR_RETURN(const auto more, model_->Encode(fragment.text));
    tokens.insert(tokens.end(), more.begin(), more.end());
  }
  return tokens;
}

std::string SentencePieceEncoder::Spell(std::string_view stored_text) const {
  std::string text;
  while (!stored_text.empty()) {
    const bool mark = stored_text.starts_with(kSpaceMark);
    text += mark ? ' ' : stored_text.front();
    stored_text.remove_prefix(mark ? kSpaceMark.size() : 1);
  }
  return text;
}

}  // namespace baton
