// SentencePiece's tokenizer.model, and whatever it ends with as a text for it. What can be read
// must encode any text or say why not, must never take a control token from it, and must decode
// what it gave.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "model/text/utf8.h"
#include "model/tokenizer/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto read = baton::ReadTokenizerFiles({.tokenizer_model = all});
  if (!read.ok()) return 0;
  const baton::Tokenizer& tokenizer = read->tokenizer;
  const std::string text = " ab  <|end|> <s> \xC3\xA9 e\xCC\x81 \xEF\xBC\xA1 \xFF 12\n" +
                           std::string(all.substr(size - std::min<size_t>(size, 48)));
  const auto tokens = tokenizer.Encode(text);
  if (!tokens.ok()) return 0;
  baton::StreamDecoder decoder(tokenizer);
  for (const baton::TokenId token : *tokens) {
    CHECK(tokenizer.vocabulary().Contains(token), "token {}", token);
    CHECK(tokenizer.vocabulary().TypeOf(token) != baton::TokenType::kControl, "control {}", token);
    const std::string part = decoder.Push(token);
    CHECK(baton::ValidUtf8Prefix(part) == part.size(), "half a character");
  }
  (void)tokenizer.Decode(*tokens, true);
  (void)tokenizer.Encode(text, {.parse_special = true, .add_special = true}).ok();
  return 0;
}
