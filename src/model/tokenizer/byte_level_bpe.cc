#include "model/tokenizer/byte_level_bpe.h"

#include <algorithm>
#include <limits>

#include "model/text/utf8.h"
#include "model/tokenizer/byte_characters.h"
#include "model/tokenizer/merge_list.h"

namespace baton {

Result<std::unique_ptr<const TextEncoder>> ByteLevelBpeEncoder::Create(
    const gguf::Metadata& metadata, const Vocabulary& vocabulary) {
  BATON_ASSIGN_OR_RETURN(const auto pre, metadata.StringOr("tokenizer.ggml.pre", ""));
  BATON_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer, PreTokenizer::Create(pre));
  BATON_ASSIGN_OR_RETURN(MergeTable merges, ReadMerges(metadata, vocabulary));
  BATON_ASSIGN_OR_RETURN(const bool adds_space,
                         metadata.BoolOr("tokenizer.ggml.add_space_prefix", false));
  return std::unique_ptr<const TextEncoder>(
      new ByteLevelBpeEncoder(vocabulary, std::move(pre_tokenizer), std::move(merges), adds_space));
}

ByteLevelBpeEncoder::ByteLevelBpeEncoder(const Vocabulary& vocabulary, PreTokenizer pre_tokenizer,
                                         MergeTable merges, bool adds_space)
    : vocabulary_(vocabulary),
      pre_tokenizer_(std::move(pre_tokenizer)),
      merges_(std::move(merges)),
      adds_space_(adds_space) {
  for (size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
    const TokenId id = vocabulary.Find(ByteCharacters()[byte]);
    byte_tokens_[byte] = id != kNoToken ? id : vocabulary.unknown();
  }
}

TokenId ByteLevelBpeEncoder::FindWhole(std::string_view piece) const {
  const TokenId id = vocabulary_.Find(BytesAsCharacters(piece));
  return id != kNoToken && vocabulary_.TypeOf(id) == TokenType::kNormal ? id : kNoToken;
}

std::vector<TokenId> ByteLevelBpeEncoder::EncodePiece(std::string_view piece) const {
  if (pre_tokenizer_.takes_whole_pieces()) {
    const TokenId whole = FindWhole(piece);
    if (whole != kNoToken) return {whole};
  }
  std::vector<MergeSymbol> symbols;
  symbols.reserve(piece.size());
  for (size_t i = 0; i < piece.size(); ++i) {
    const TokenId id = byte_tokens_[static_cast<uint8_t>(piece[i])];
    if (id != kNoToken) symbols.push_back({static_cast<uint32_t>(i), 1, id});
  }
  const auto rank = [&](const MergeSymbol& left, const MergeSymbol& right) -> MergeCandidate {
    const auto merge = merges_.Find(left.id, right.id);
    if (!merge) return {};
    return {true, static_cast<double>(merge->rank), merge->merged};
  };
  std::vector<TokenId> tokens;
  for (const MergeSymbol& symbol : MergeAll(std::move(symbols), rank)) tokens.push_back(symbol.id);
  return tokens;
}

// The pre-tokenizer needs valid UTF-8; what is none is a piece of its own.
Result<std::vector<TokenId>> ByteLevelBpeEncoder::Encode(const PlainText& plain) const {
  std::string_view text = plain.text;
  std::string with_space;
  if (plain.starts && adds_space_ && !text.starts_with(' ')) {
    with_space.append(" ").append(text);
    text = with_space;
  }
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return MakeError(Code::kResourceExhausted, "a text of {} bytes is too long to encode",
                     text.size());
  std::vector<TokenId> tokens;
  const auto append = [&](const std::vector<TokenId>& more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
  };
  while (!text.empty()) {
    const std::string_view valid = text.substr(0, ValidUtf8Prefix(text));
    BATON_ASSIGN_OR_RETURN(const auto pieces, pre_tokenizer_.Split(valid));
    for (const std::string_view piece : pieces) append(EncodePiece(piece));
    text.remove_prefix(valid.size());
    if (text.empty()) break;
    const size_t invalid = Utf8At(text, 0).length;
    append(EncodePiece(text.substr(0, invalid)));
    text.remove_prefix(invalid);
  }
  return tokens;
}

std::string ByteLevelBpeEncoder::Spell(std::string_view stored_text) const {
  return CharactersAsBytes(stored_text);
}

}  // namespace baton
