// Cuts a template into tokens, with the white space rules of trim_blocks and lstrip_blocks applied.
// Source: the Jinja2 documentation ("Whitespace Control"), as Hugging Face configures it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton::jinja {

enum class TokenKind {
  kData,           // text between tags
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,  // `text` is the value, escapes resolved
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

inline constexpr size_t kSourceBytesMax = 4 << 20;

// The last token is always kEnd. Errors name the line.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace baton::jinja
