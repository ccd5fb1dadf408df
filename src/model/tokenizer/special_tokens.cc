#include "model/tokenizer/special_tokens.h"

namespace baton {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) : nodes_(1) {
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.TypeOf(id);
    const bool control = type == TokenType::kControl || type == TokenType::kUnknown;
    const std::string_view text = vocabulary.TextOf(id);
    if (!control && type != TokenType::kUserDefined) continue;
    if (!text.empty() && text.size() <= kSpecialTokenBytesMax) Insert(text, id, control);
  }
}

void SpecialTokens::Insert(std::string_view text, TokenId token, bool control) {
  uint32_t node = 0;
  for (const char c : text) {
    const uint64_t key = node * 256ull + static_cast<uint8_t>(c);
    const auto [at, added] = children_.try_emplace(key, static_cast<uint32_t>(nodes_.size()));
    if (added) nodes_.emplace_back();
    node = at->second;
  }
  if (nodes_[node].token == kNoToken) nodes_[node] = {token, control};
  can_begin_[static_cast<uint8_t>(text.front())] = true;
}

SpecialTokens::Match SpecialTokens::LongestAt(std::string_view text, size_t position,
                                              size_t trusted_end) const {
  Match longest;
  uint32_t node = 0;
  for (size_t at = position; at < text.size(); ++at) {
    const auto child = children_.find(node * 256ull + static_cast<uint8_t>(text[at]));
    if (child == children_.end()) break;
    node = child->second;
    const bool allowed = !nodes_[node].control || at < trusted_end;
    if (nodes_[node].token != kNoToken && allowed)
      longest = {nodes_[node].token, at + 1 - position};
  }
  return longest;
}

std::vector<TextFragment> SpecialTokens::Split(std::string_view text,
                                               std::span<const TrustedRange> trusted) const {
  std::vector<TextFragment> fragments;
  size_t begin = 0;  // of the text not yet given out
  for (size_t at = 0; at < text.size();) {
    while (!trusted.empty() && trusted.front().end <= at) trusted = trusted.subspan(1);
    const bool inside = !trusted.empty() && trusted.front().begin <= at;
    const bool possible = can_begin_[static_cast<uint8_t>(text[at])];
    const Match match = possible ? LongestAt(text, at, inside ? trusted.front().end : 0) : Match{};
    if (match.length == 0) {
      ++at;
      continue;
    }
    if (at > begin) fragments.push_back({text.substr(begin, at - begin), kNoToken});
    fragments.push_back({text.substr(at, match.length), match.token});
    at += match.length;
    begin = at;
  }
  if (begin < text.size()) fragments.push_back({text.substr(begin), kNoToken});
  return fragments;
}

}  // namespace baton
