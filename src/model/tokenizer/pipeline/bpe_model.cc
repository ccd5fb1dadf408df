#include "model/tokenizer/pipeline/bpe_model.h"

#include <limits>

#include "model/text/utf8.h"
#include "model/tokenizer/merge_list.h"

namespace baton {

BpeModel::BpeModel(const Vocabulary& vocabulary, std::vector<bool> ordinary, MergeTable merges,
                   BpeOptions options)
    : vocabulary_(vocabulary),
      ordinary_(std::move(ordinary)),
      merges_(std::move(merges)),
      options_(options),
      byte_tokens_(vocabulary) {}

TokenId BpeModel::Find(std::string_view text) const {
  const TokenId id = vocabulary_.Find(text);
  return id != kNoToken && ordinary_[static_cast<size_t>(id)] ? id : kNoToken;
}

Result<std::vector<TokenId>> BpeModel::Encode(std::string_view piece) const {
  if (piece.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return MakeError(Code::kResourceExhausted, "a text of {} bytes is too long to encode",
                     piece.size());
  if (options_.ignores_merges) {
    const TokenId whole = Find(piece);
    if (whole != kNoToken) return std::vector<TokenId>{whole};
  }
  std::vector<MergeSymbol> symbols;
  // An unknown symbol is added when the next known character comes, but not by bytes: so does the
  // library, and the order is seen where only some bytes are tokens.
  std::optional<MergeSymbol> unknown;
  for (size_t at = 0; at < piece.size();) {
    const size_t length = Utf8At(piece, at).length;
    const std::string_view character = piece.substr(at, length);
    const auto begin = static_cast<uint32_t>(at);
    at += length;
    const TokenId id = Find(character);
    if (id != kNoToken) {
      if (unknown) symbols.push_back(*unknown);
      unknown.reset();
      symbols.push_back({begin, static_cast<uint32_t>(length), id});
      continue;
    }
    const auto bytes = options_.byte_fallback ? byte_tokens_.Spell(character) : std::nullopt;
    if (bytes) {
      for (uint32_t i = 0; i < length; ++i) symbols.push_back({begin + i, 1, (*bytes)[i]});
      continue;
    }
    if (options_.unknown == kNoToken) continue;
    if (unknown && options_.fuses_unknown) {
      unknown->length += static_cast<uint32_t>(length);
      continue;
    }
    if (unknown) symbols.push_back(*unknown);
    unknown = MergeSymbol{begin, static_cast<uint32_t>(length), options_.unknown};
  }
  if (unknown) symbols.push_back(*unknown);
  const auto rank = [&](const MergeSymbol& left, const MergeSymbol& right) -> MergeCandidate {
    const auto merge = merges_.Find(left.id, right.id);
    if (!merge) return {};
    return {true, static_cast<double>(merge->rank), merge->merged};
  };
  std::vector<TokenId> tokens;
  for (const MergeSymbol& symbol : MergeAll(std::move(symbols), rank)) tokens.push_back(symbol.id);
  return tokens;
}

}  // namespace baton
