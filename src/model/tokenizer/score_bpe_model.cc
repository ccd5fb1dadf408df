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

TokenId ScoreBpeModel::FindMergeable(std::string_view text) const {
  const TokenId id = vocabulary_.Find(text);
  if (id == kNoToken) return kNoToken;
  const TokenType type = vocabulary_.TypeOf(id);
  const bool mergeable = type == TokenType::kNormal || type == TokenType::kUserDefined;
  return mergeable || IsUnused(id) ? id : kNoToken;
}

bool ScoreBpeModel::IsUnused(TokenId id) const {
  return vocabulary_.TypeOf(id) == TokenType::kUnused;
}

std::vector<std::string_view> ScoreBpeModel::Pieces(std::string_view text) const {
  Joints joints;
  const auto rank = [&](const MergeSymbol& a, const MergeSymbol& b) -> MergeCandidate {
    const std::string_view joined = text.substr(a.begin, a.length + b.length);
    const TokenId id = FindMergeable(joined);
    if (id == kNoToken) return {};
    if (IsUnused(id)) joints.insert_or_assign(joined, a.length);  // the last pair counts
    return {true, -static_cast<double>(vocabulary_.ScoreOf(id)), id};
  };
  std::vector<std::string_view> pieces;
  for (const MergeSymbol& symbol : MergeAll(Characters(text), rank)) {
    const std::string_view piece = text.substr(symbol.begin, symbol.length);
    if (joints.empty()) {
      pieces.push_back(piece);
      continue;
    }
    const auto parts = Parts(piece, joints);
    pieces.insert(pieces.end(), parts.begin(), parts.end());
  }
  return pieces;
}

std::vector<std::string_view> ScoreBpeModel::Parts(std::string_view piece,
                                                   const Joints& joints) const {
  std::vector<std::string_view> parts;
  std::vector<std::string_view> waiting = {piece};
  while (!waiting.empty()) {
    const std::string_view part = waiting.back();
    waiting.pop_back();
    const auto joint = joints.find(part);
    if (joint == joints.end()) {
      parts.push_back(part);
      continue;
    }
    waiting.push_back(part.substr(joint->second));
    waiting.push_back(part.substr(0, joint->second));
  }
  return parts;
}

Result<std::vector<TokenId>> ScoreBpeModel::Encode(std::string_view piece) const {
  if (piece.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return MakeError(Code::kResourceExhausted, "a text of {} bytes is too long to encode",
                     piece.size());
  std::vector<TokenId> tokens;
  bool unknown_before = false;
  for (const std::string_view text : Pieces(piece)) {
    const TokenId id = FindMergeable(text);
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
