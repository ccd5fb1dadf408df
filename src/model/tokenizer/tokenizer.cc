#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "model/text/utf8.h"
#include "model/tokenizer/byte_level_bpe.h"
#include "model/tokenizer/byte_tokens.h"
#include "model/tokenizer/marked_bpe.h"
#include "model/tokenizer/pre_tokenizer_families.h"
#include "model/tokenizer/sentence_piece.h"
#include "model/tokenizer/special_tokens.h"

namespace baton {
namespace {

using gguf::Metadata;

// Control tokens by which the chat formats of known families end a turn.
constexpr std::string_view kTurnEnds[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<|return|>",
    "<|call|>",
    "<|eot|>",
    "<|end_of_turn|>",
    "<EOT>",
    "_<EOT>",
    "<|EOT|>",
    "[EOS]",
    "[EOT]",
    "<turn|>",
    "<end_of_utterance>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
};

// In the harmony format <|end|> ends a message of several; <|return|> and <|call|> end the turn.
bool IsHarmony(const Vocabulary& vocabulary) {
  return vocabulary.Find("<|return|>") != kNoToken && vocabulary.Find("<|call|>") != kNoToken &&
         vocabulary.Find("<|channel|>") != kNoToken;
}

std::vector<TokenId> EndOfGeneration(const Vocabulary& vocabulary, std::vector<TokenId> ends) {
  for (const TokenId id : {vocabulary.eos(), vocabulary.eot()}) {
    if (id != kNoToken) ends.push_back(id);
  }
  const bool harmony = IsHarmony(vocabulary);
  for (const std::string_view text : kTurnEnds) {
    const TokenId id = vocabulary.Find(text);
    if (id == kNoToken || vocabulary.TypeOf(id) != TokenType::kControl) continue;
    if (harmony && text == "<|end|>") continue;
    ends.push_back(id);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

Result<std::unique_ptr<const TextEncoder>> MakeEncoder(const Metadata& metadata,
                                                       const Vocabulary& vocabulary) {
  BATON_ASSIGN_OR_RETURN(const auto kind, metadata.String("tokenizer.ggml.model"));
  if (kind == "llama" || kind == "t5") return SentencePieceEncoder::Create(metadata, vocabulary);
  if (kind == "gemma4") return MakeMarkedBpe(metadata, vocabulary);
  if (kind != "gpt2")
    return MakeError(Code::kUnimplemented,
                     "tokenizer '{}' is not supported; supported: llama, t5, gemma4, gpt2", kind);
  BATON_ASSIGN_OR_RETURN(const auto pre, metadata.StringOr("tokenizer.ggml.pre", ""));
  const auto family = FindPreTokenizerFamily(pre);
  if (family && family->marks_spaces) return MakeMarkedBpe(metadata, vocabulary);
  return ByteLevelBpeEncoder::Create(metadata, vocabulary);
}

TokensAround AroundOf(const Vocabulary& vocabulary) {
  TokensAround around;
  if (vocabulary.adds_bos() && vocabulary.bos() != kNoToken)
    around.before.push_back(vocabulary.bos());
  if (vocabulary.adds_eos() && vocabulary.eos() != kNoToken)
    around.behind.push_back(vocabulary.eos());
  return around;
}

// The trusted bytes of `prompt`, as ranges of all its texts in a row.
std::vector<TrustedRange> TrustedRanges(std::span<const PromptSegment> prompt) {
  std::vector<TrustedRange> ranges;
  size_t at = 0;
  for (const PromptSegment& segment : prompt) {
    const size_t end = at + segment.text.size();
    const bool joins = !ranges.empty() && ranges.back().end == at;
    if (segment.trusted && joins)
      ranges.back().end = end;
    else if (segment.trusted)
      ranges.push_back({at, end});
    at = end;
  }
  return ranges;
}

}  // namespace

struct Tokenizer::State {
  explicit State(TokenizerParts given)
      : parts(std::move(given)),
        end_of_generation(EndOfGeneration(*parts.vocabulary, std::move(parts.more_ends))) {}

  Result<std::vector<TokenId>> Encode(std::string_view text,
                                      std::span<const TrustedRange> trusted) const {
    std::vector<TokenId> tokens;
    bool starts = true;
    for (const TextFragment& fragment : parts.special.Split(text, trusted)) {
      const bool whole = fragment.token != kNoToken;
      if (whole) {
        tokens.push_back(fragment.token);
      } else {
        const auto offset = static_cast<size_t>(fragment.text.data() - text.data());
        BATON_ASSIGN_OR_RETURN(const auto more, parts.encoder->Encode({.text = fragment.text,
                                                                       .first = offset == 0,
                                                                       .starts = starts,
                                                                       .offset = offset,
                                                                       .trusted = trusted}));
        tokens.insert(tokens.end(), more.begin(), more.end());
      }
      starts = whole;
    }
    return tokens;
  }

  const Vocabulary& vocabulary() const { return *parts.vocabulary; }

  TokenizerParts parts;
  const std::vector<TokenId> end_of_generation;
};

Tokenizer::Tokenizer(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::FromMetadata(const Metadata& metadata) {
  BATON_ASSIGN_OR_RETURN(const auto kind, metadata.String("tokenizer.ggml.model"));
  BATON_ASSIGN_OR_RETURN(const auto pre, metadata.StringOr("tokenizer.ggml.pre", ""));
  BATON_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::FromMetadata(metadata));
  TokenizerParts parts;
  parts.vocabulary = std::make_unique<const Vocabulary>(std::move(vocabulary));
  parts.special = SpecialTokens::Of(*parts.vocabulary, kind == "llama" || kind == "t5");
  parts.around = AroundOf(*parts.vocabulary);
  parts.kind = kind;
  parts.pre_tokenizer = pre;
  BATON_ASSIGN_OR_RETURN(parts.encoder, MakeEncoder(metadata, *parts.vocabulary));
  return FromParts(std::move(parts));
}

Tokenizer Tokenizer::FromParts(TokenizerParts parts) {
  CHECK(parts.vocabulary != nullptr && parts.encoder != nullptr);
  return Tokenizer(std::make_unique<const State>(std::move(parts)));
}

Result<std::vector<TokenId>> Tokenizer::Encode(std::string_view text, EncodeOptions options) const {
  const TrustedRange all{0, text.size()};
  const size_t trusted = options.parse_special ? 1 : 0;
  BATON_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                         state_->Encode(text, std::span(&all, trusted)));
  if (!options.add_special) return tokens;
  const auto& [before, behind] = state_->parts.around;
  tokens.insert(tokens.begin(), before.begin(), before.end());
  tokens.insert(tokens.end(), behind.begin(), behind.end());
  return tokens;
}

Result<std::vector<TokenId>> Tokenizer::Encode(std::span<const PromptSegment> prompt) const {
  std::string text;
  for (const PromptSegment& segment : prompt) text += segment.text;
  return state_->Encode(text, TrustedRanges(prompt));
}

std::string Tokenizer::Piece(TokenId token, bool with_control) const {
  const Vocabulary& vocabulary = state_->vocabulary();
  if (!vocabulary.Contains(token)) return {};
  const std::string_view text = vocabulary.TextOf(token);
  switch (vocabulary.TypeOf(token)) {
    case TokenType::kNormal:
      return state_->parts.encoder->Spell(text);
    case TokenType::kUserDefined:
      return state_->parts.encoder->SpellUserDefined(text);
    case TokenType::kByte: {
      const int byte = ByteOfToken(text);
      return byte < 0 ? std::string() : std::string(1, static_cast<char>(byte));
    }
    case TokenType::kUnknown:
    case TokenType::kControl:
      return with_control ? std::string(text) : std::string();
    case TokenType::kUnused:
      return {};
  }
  return {};
}

std::string Tokenizer::Decode(std::span<const TokenId> tokens, bool with_control) const {
  std::string text;
  bool strip_space = state_->parts.encoder->AddsSpace();
  for (const TokenId token : tokens) {
    std::string piece = Piece(token, with_control);
    const bool control = state_->vocabulary().Contains(token) &&
                         state_->vocabulary().TypeOf(token) == TokenType::kControl;
    if (strip_space && !control && piece.starts_with(' ')) piece.erase(0, 1);
    strip_space = strip_space && control;
    text += piece;
  }
  return text;
}

const Vocabulary& Tokenizer::vocabulary() const {
  return state_->vocabulary();
}

const std::vector<TokenId>& Tokenizer::end_of_generation() const {
  return state_->end_of_generation;
}

bool Tokenizer::IsEndOfGeneration(TokenId token) const {
  const auto& ends = state_->end_of_generation;
  return std::binary_search(ends.begin(), ends.end(), token);
}

std::string_view Tokenizer::kind() const {
  return state_->parts.kind;
}

std::string_view Tokenizer::pre_tokenizer() const {
  return state_->parts.pre_tokenizer;
}

std::string StreamDecoder::Push(TokenId token) {
  pending_ += tokenizer_.Piece(token);
  std::string text;
  size_t at = 0;
  while (at < pending_.size()) {
    const Utf8Character character = Utf8At(pending_, at);
    if (character.cut_off) break;
    text += character.valid ? pending_.substr(at, character.length) : ToUtf8(kReplacementCharacter);
    at += character.length;
  }
  pending_.erase(0, at);
  return text;
}

std::string StreamDecoder::Finish() {
  const bool cut_off = !pending_.empty();
  pending_.clear();
  return cut_off ? ToUtf8(kReplacementCharacter) : std::string();
}

}  // namespace baton
