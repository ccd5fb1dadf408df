#include "model/tokenizer/byte_tokens.h"

#include <fmt/format.h>

namespace baton {

int ByteOfToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int byte = 0;
  for (const char c : text.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return -1;
    byte = byte * 16 + (digit ? c - '0' : c - 'A' + 10);
  }
  return byte;
}

ByteTokens::ByteTokens(const Vocabulary& vocabulary) {
  for (size_t byte = 0; byte < tokens_.size(); ++byte) {
    tokens_[byte] = vocabulary.Find(fmt::format("<0x{:02X}>", byte));
    const bool control =
        tokens_[byte] != kNoToken && vocabulary.TypeOf(tokens_[byte]) == TokenType::kControl;
    if (control) tokens_[byte] = kNoToken;
  }
}

std::optional<std::vector<TokenId>> ByteTokens::Spell(std::string_view bytes) const {
  std::vector<TokenId> tokens;
  for (const char c : bytes) {
    tokens.push_back(tokens_[static_cast<uint8_t>(c)]);
    if (tokens.back() == kNoToken) return std::nullopt;
  }
  return tokens;
}

}  // namespace baton
