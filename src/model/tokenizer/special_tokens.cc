#include "model/tokenizer/special_tokens.h"

#include <algorithm>

#include "model/text/characters.h"
#include "model/text/utf8.h"
#include "model/tokenizer/prefix_search.h"
#include "model/tokenizer/sentence_piece_normalizer.h"

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

// `text` with spaces for their marks.
std::string WithSpaces(std::string_view text) {
  std::string spelled;
  while (!text.empty()) {
    const bool mark = text.starts_with(kSpaceMark);
    spelled += mark ? ' ' : text.front();
    text.remove_prefix(mark ? kSpaceMark.size() : 1);
  }
  return spelled;
}

bool IsInsideWord(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && IsWordCharacter(Utf8At(text, CharacterBefore(text, begin)).code_point))
    return true;
  return end < text.size() && IsWordCharacter(Utf8At(text, end).code_point);
}

}  // namespace

void SpecialTokens::Reserve(size_t more_tokens, size_t more_bytes) {
  tokens_.reserve(tokens_.size() + more_tokens);
  texts_.reserve(texts_.size() + more_bytes);
}

SpecialTokens SpecialTokens::With(const Vocabulary& vocabulary, TokenType type,
                                  bool marks_spaces) && {
  size_t count = 0, bytes = 0;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.TypeOf(id) != type) continue;
    ++count;
    bytes += vocabulary.TextOf(id).size();
  }
  Reserve(count, bytes);
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.TypeOf(id) != type) continue;
    const Stored token = {.control = type != TokenType::kUserDefined, .id = id};
    if (marks_spaces)
      Add(WithSpaces(vocabulary.TextOf(id)), token);
    else
      Add(vocabulary.TextOf(id), token);
  }
  Sort();
  return std::move(*this);
}

SpecialTokens SpecialTokens::Of(const Vocabulary& vocabulary, bool marks_spaces) {
  return SpecialTokens()
      .With(vocabulary, TokenType::kControl)
      .With(vocabulary, TokenType::kUnknown)
      .With(vocabulary, TokenType::kUserDefined, marks_spaces);
}

bool SpecialTokens::has_control() const {
  return std::any_of(tokens_.begin(), tokens_.end(),
                     [](const Stored& token) { return token.control; });
}

void SpecialTokens::Add(const SpecialToken& token) {
  Add(token.text, {.control = token.control,
                   .takes_spaces_before = token.takes_spaces_before,
                   .takes_spaces_behind = token.takes_spaces_behind,
                   .whole_words = token.whole_words,
                   .id = token.id});
}

void SpecialTokens::Add(std::string_view text, Stored token) {
  if (text.empty() || text.size() > kSpecialTokenBytesMax) return;
  token.begin = static_cast<uint32_t>(texts_.size());
  token.length = static_cast<uint16_t>(text.size());
  texts_ += text;
  tokens_.push_back(token);
  can_begin_[static_cast<uint8_t>(text.front())] = true;
}

// Of equal texts the first that was added comes first. (std::stable_sort() takes memory.)
void SpecialTokens::Sort() {
  std::sort(tokens_.begin(), tokens_.end(), [this](const Stored& a, const Stored& b) {
    const int order = TextOf(a).compare(TextOf(b));
    return order != 0 ? order < 0 : a.begin < b.begin;
  });
}

SpecialTokens::Match SpecialTokens::LongestAt(std::string_view text, size_t position,
                                              size_t trusted_end) const {
  Match longest;
  ForEachPrefixOf(
      text.substr(position), tokens_.begin(), tokens_.end(),
      [this](const Stored& token) { return TextOf(token); },
      [&](auto token) {
        const size_t end = position + token->length;
        if (!token->control || end <= trusted_end) longest = {&*token, position, end, end};
      });
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
