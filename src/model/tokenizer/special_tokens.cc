#include "model/tokenizer/special_tokens.h"

#include <algorithm>

#include "model/text/characters.h"
#include "model/text/utf8.h"

namespace baton {
namespace {

size_t CharacterBefore(std::string_view text, size_t position) {
  size_t begin = position - 1;
  while (begin > 0 && position - begin < 4 && (text[begin] & 0xC0) == 0x80) --begin;
  return begin;
}

size_t SkipSpacesBackwards(std::string_view text, size_t position, size_t min) {
  while (position > min) {
    const size_t begin = CharacterBefore(text, position);
    if (begin < min || !IsWhiteSpace(Utf8At(text, begin).code_point)) break;
    position = begin;
  }
  return position;
}

size_t SkipSpaces(std::string_view text, size_t position) {
  while (position < text.size()) {
    const Utf8Character character = Utf8At(text, position);
    if (!character.valid || !IsWhiteSpace(character.code_point)) break;
    position += character.length;
  }
  return position;
}

bool IsInsideWord(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && IsWordCharacter(Utf8At(text, CharacterBefore(text, begin)).code_point))
    return true;
  return end < text.size() && IsWordCharacter(Utf8At(text, end).code_point);
}

}  // namespace

SpecialTokens::SpecialTokens(std::vector<SpecialToken> tokens)
    : tokens_(std::move(tokens)), ends_(1, kNone) {
  std::erase_if(tokens_, [](const SpecialToken& token) {
    return token.text.empty() || token.text.size() > kSpecialTokenBytesMax;
  });
  for (uint32_t i = 0; i < tokens_.size(); ++i) Insert(i);
}

SpecialTokens SpecialTokens::Of(const Vocabulary& vocabulary) {
  std::vector<SpecialToken> tokens;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.TypeOf(id);
    const bool control = type == TokenType::kControl || type == TokenType::kUnknown;
    if (!control && type != TokenType::kUserDefined) continue;
    tokens.push_back({.text = std::string(vocabulary.TextOf(id)), .id = id, .control = control});
  }
  return SpecialTokens(std::move(tokens));
}

bool SpecialTokens::has_control() const {
  return std::any_of(tokens_.begin(), tokens_.end(),
                     [](const SpecialToken& token) { return token.control; });
}

void SpecialTokens::Insert(uint32_t token) {
  uint32_t node = 0;
  const std::string& text = tokens_[token].text;
  for (const char c : text) {
    const uint64_t key = node * 256ull + static_cast<uint8_t>(c);
    const auto [at, added] = children_.try_emplace(key, static_cast<uint32_t>(ends_.size()));
    if (added) ends_.push_back(kNone);
    node = at->second;
  }
  if (ends_[node] == kNone) ends_[node] = token;
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
    if (ends_[node] == kNone) continue;
    const SpecialToken& token = tokens_[ends_[node]];
    if (!token.control || at < trusted_end) longest = {&token, position, at + 1, at + 1};
  }
  return longest;
}

SpecialTokens::Match SpecialTokens::Widened(Match match, std::string_view text,
                                            size_t begin_min) const {
  if (match.token->whole_words && IsInsideWord(text, match.begin, match.end)) {
    match.token = nullptr;
    return match;
  }
  if (match.token->takes_spaces_before)
    match.begin = SkipSpacesBackwards(text, match.begin, begin_min);
  if (match.token->takes_spaces_behind) match.end = SkipSpaces(text, match.end);
  return match;
}

std::vector<TextFragment> SpecialTokens::Split(std::string_view text,
                                               std::span<const TrustedRange> trusted) const {
  std::vector<TextFragment> fragments;
  size_t begin = 0;  // of the text not yet given out
  for (size_t at = 0; at < text.size();) {
    while (!trusted.empty() && trusted.front().end <= at) trusted = trusted.subspan(1);
    const bool inside = !trusted.empty() && trusted.front().begin <= at;
    const bool possible = can_begin_[static_cast<uint8_t>(text[at])];
    Match match = possible ? LongestAt(text, at, inside ? trusted.front().end : 0) : Match{};
    if (match.token == nullptr) {
      ++at;
      continue;
    }
    match = Widened(match, text, begin);
    at = match.next;
    if (match.token == nullptr) continue;
    if (match.begin > begin) fragments.push_back({text.substr(begin, match.begin - begin)});
    fragments.push_back({text.substr(match.begin, match.end - match.begin), match.token->id});
    begin = match.end;
  }
  if (begin < text.size()) fragments.push_back({text.substr(begin)});
  return fragments;
}

}  // namespace baton
