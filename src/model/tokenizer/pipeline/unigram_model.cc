#include "model/tokenizer/pipeline/unigram_model.h"

#include <algorithm>
#include <limits>

#include "model/text/utf8.h"
#include "model/tokenizer/prefix_search.h"

namespace baton {
namespace {

constexpr double kUnknownPenalty = 10.0;  // as in SentencePiece

}  // namespace

UnigramModel::UnigramModel(const Vocabulary& vocabulary, std::vector<bool> ordinary,
                           std::vector<double> scores, UnigramOptions options)
    : vocabulary_(vocabulary),
      scores_(std::move(scores)),
      options_(options),
      byte_tokens_(vocabulary) {
  const auto scored = scores_.empty() ? vocabulary.size() : static_cast<TokenId>(scores_.size());
  sorted_.reserve(static_cast<size_t>(std::count(ordinary.begin(), ordinary.end(), true)));
  for (TokenId id = 0; id < scored; ++id) {
    if (ordinary[static_cast<size_t>(id)] && !vocabulary.TextOf(id).empty()) sorted_.push_back(id);
  }
  std::sort(sorted_.begin(), sorted_.end(), [&vocabulary](TokenId a, TokenId b) {
    return vocabulary.TextOf(a) < vocabulary.TextOf(b);
  });
  const double lowest = scores_.empty() ? 0 : *std::min_element(scores_.begin(), scores_.end());
  unknown_score_ = options_.lowest_score.value_or(lowest) - kUnknownPenalty;
}

double UnigramModel::ScoreOf(TokenId id) const {
  if (!scores_.empty()) return scores_[static_cast<size_t>(id)];
  if (vocabulary_.TypeOf(id) != TokenType::kUserDefined) return vocabulary_.ScoreOf(id);
  return static_cast<float>(vocabulary_.TextOf(id).size()) * options_.user_defined_score - 0.1;
}

Status UnigramModel::CheckTexts(const Vocabulary& vocabulary) {
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const size_t bytes = vocabulary.TextOf(id).size();
    if (bytes > kUnigramTokenBytesMax)
      return MakeError(Code::kInvalidArgument, "token {} has {} bytes, more than {}", id, bytes,
                       kUnigramTokenBytesMax);
  }
  return OkStatus();
}

std::vector<TokenId> UnigramModel::TokensAtBeginOf(std::string_view text) const {
  std::vector<TokenId> tokens;
  ForEachPrefixOf(
      text, sorted_.begin(), sorted_.end(), [this](TokenId id) { return vocabulary_.TextOf(id); },
      [&tokens](auto at) { tokens.push_back(*at); });
  return tokens;
}

Result<std::vector<UnigramModel::Node>> UnigramModel::BestWays(std::string_view piece) const {
  std::vector<Node> ways(piece.size() + 1);
  const auto extend = [&ways](size_t begin, size_t end, TokenId token, double score) {
    const double total = ways[begin].score + score;
    Node& node = ways[end];
    if (node.begin < 0 || total > node.score) node = {total, static_cast<int32_t>(begin), token};
  };
  for (size_t begin = 0; begin < piece.size();) {
    const size_t length = Utf8At(piece, begin).length;
    bool covered = false;
    for (const TokenId token : TokensAtBeginOf(piece.substr(begin))) {
      const size_t bytes = vocabulary_.TextOf(token).size();
      extend(begin, begin + bytes, token, ScoreOf(token));
      covered = covered || bytes == length;
    }
    if (!covered) extend(begin, begin + length, options_.unknown, unknown_score_);
    if (ways[begin + length].token == kNoToken)
      return MakeError(Code::kInvalidArgument, "'{}' has no token, and nothing stands for it",
                       piece.substr(begin, length));
    begin += length;
  }
  return ways;
}

std::vector<TokenId> UnigramModel::SpellUnknown(std::string_view text) const {
  if (options_.byte_fallback) {
    if (auto bytes = byte_tokens_.Spell(text)) return *std::move(bytes);
  }
  return {options_.unknown};
}

Result<std::vector<TokenId>> UnigramModel::Encode(std::string_view piece) const {
  if (piece.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return MakeError(Code::kResourceExhausted, "a text of {} bytes is too long to encode",
                     piece.size());
  BATON_ASSIGN_OR_RETURN(const std::vector<Node> ways, BestWays(piece));
  std::vector<TokenId> tokens;  // backwards
  for (size_t end = piece.size(); end > 0;) {
    size_t begin = static_cast<size_t>(ways[end].begin);
    if (ways[end].token != options_.unknown || options_.unknown == kNoToken) {
      tokens.push_back(ways[end].token);
      end = begin;
      continue;
    }
    // Neighbouring unknown characters are one token.
    while (begin > 0 && ways[begin].token == options_.unknown)
      begin = static_cast<size_t>(ways[begin].begin);
    const std::vector<TokenId> spelled = SpellUnknown(piece.substr(begin, end - begin));
    tokens.insert(tokens.end(), spelled.rbegin(), spelled.rend());
    end = begin;
  }
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace baton
