#include "model/tokenizer/sentence_piece.h"

#include <limits>

#include "model/text/utf8.h"
#include "model/tokenizer/merge_list.h"

namespace baton {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";

std::string MarkSpaces(std::string_view text, bool one_in_front) {
  std::string marked(one_in_front ? kSpaceMark : "");
  for (const char c : text) {
    if (c == ' ')
      marked += kSpaceMark;
    else
      marked += c;
  }
  return marked;
}

std::vector<MergeSymbol> Characters(std::string_view text) {
  std::vector<MergeSymbol> symbols;
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8At(text, at).length;
    symbols.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(length)});
    at += length;
  }
  return symbols;
}

}  // namespace

Result<std::unique_ptr<const TextEncoder>> SentencePieceEncoder::Create(
    const gguf::Metadata& metadata, const Vocabulary& vocabulary) {
  BATON_ASSIGN_OR_RETURN(const bool adds_space,
                         metadata.BoolOr("tokenizer.ggml.add_space_prefix", true));
  return std::unique_ptr<const TextEncoder>(new SentencePieceEncoder(vocabulary, adds_space));
}

SentencePieceEncoder::SentencePieceEncoder(const Vocabulary& vocabulary, bool adds_space)
    : vocabulary_(vocabulary), adds_space_(adds_space) {
  for (size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
    const TokenId id = vocabulary.Find(fmt::format("<0x{:02X}>", byte));
    byte_tokens_[byte] = id != kNoToken ? id : vocabulary.unknown();
  }
}

TokenId SentencePieceEncoder::FindOrdinary(std::string_view text) const {
  const TokenId id = vocabulary_.Find(text);
  if (id == kNoToken) return kNoToken;
  const TokenType type = vocabulary_.TypeOf(id);
  return type == TokenType::kNormal || type == TokenType::kUserDefined ? id : kNoToken;
}

Result<std::vector<TokenId>> SentencePieceEncoder::Encode(const PlainText& plain) const {
  const std::string marked = MarkSpaces(plain.text, plain.starts && adds_space_);
  const std::string_view all = marked;
  if (all.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return MakeError(Code::kResourceExhausted, "a text of {} bytes is too long to encode",
                     all.size());
  const auto rank = [&](const MergeSymbol& a, const MergeSymbol& b) -> MergeCandidate {
    const TokenId id = FindOrdinary(all.substr(a.begin, a.length + b.length));
    if (id == kNoToken) return {};
    return {true, -static_cast<double>(vocabulary_.ScoreOf(id)), id};
  };
  std::vector<TokenId> tokens;
  for (const MergeSymbol& symbol : MergeAll(Characters(all), rank)) {
    const std::string_view piece = all.substr(symbol.begin, symbol.length);
    const TokenId id = FindOrdinary(piece);
    if (id != kNoToken) {
      tokens.push_back(id);
      continue;
    }
    for (const char c : piece) {
      const TokenId byte_token = byte_tokens_[static_cast<uint8_t>(c)];
      if (byte_token != kNoToken) tokens.push_back(byte_token);
    }
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
