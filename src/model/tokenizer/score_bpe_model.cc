#include "model/tokenizer/score_bpe_model.h"

#include <limits>

#include "model/text/utf8.h"
#include "model/tokenizer/merge_list.h"

namespace baton {
namespace {

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

TokenId ScoreBpeModel::FindOrdinary(std::string_view text) const {
  const TokenId id = vocabulary_.Find(text);
  if (id == kNoToken) return kNoToken;
  const TokenType type = vocabulary_.TypeOf(id);
  return type == TokenType::kNormal || type == TokenType::kUserDefined ? id : kNoToken;
}

Result<std::vector<TokenId>> ScoreBpeModel::Encode(std::string_view piece) const {
  if (piece.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return MakeError(Code::kResourceExhausted, "a text of {} bytes is too long to encode",
                     piece.size());
  const auto rank = [&](const MergeSymbol& a, const MergeSymbol& b) -> MergeCandidate {
    const TokenId id = FindOrdinary(piece.substr(a.begin, a.length + b.length));
    if (id == kNoToken) return {};
    return {true, -static_cast<double>(vocabulary_.ScoreOf(id)), id};
  };
  std::vector<TokenId> tokens;
  bool unknown_before = false;
  for (const MergeSymbol& symbol : MergeAll(Characters(piece), rank)) {
    const std::string_view text = piece.substr(symbol.begin, symbol.length);
    const TokenId id = FindOrdinary(text);
    const auto bytes = id == kNoToken && byte_fallback_ ? byte_tokens_.Spell(text) : std::nullopt;
    const bool unknown = id == kNoToken && !bytes;
    if (id != kNoToken) tokens.push_back(id);
    if (bytes) tokens.insert(tokens.end(), bytes->begin(), bytes->end());
    if (unknown && !unknown_before && vocabulary_.unknown() != kNoToken)
      tokens.push_back(vocabulary_.unknown());
    unknown_before = unknown;
  }
  return tokens;
}

}  // namespace baton
