// Text through every kind of pre-tokenizer: what is encoded must decode to itself.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/gguf/reader.h"
#include "model/testing/small_model.h"
#include "model/text/utf8.h"
#include "model/tokenizer/tokenizer.h"

namespace {

std::vector<baton::Tokenizer> MakeTokenizers() {
  std::vector<baton::Tokenizer> tokenizers;
  for (const char* pre : {"llama-bpe", "gpt-2", "qwen2", "deepseek-llm", "deepseek-coder",
                          "deepseek-v3", "tekken", "gpt-4o", "falcon", "bloom", "default"}) {
    baton::gguf::HeaderBuilder builder;
    baton::AddByteVocabulary(builder, pre, {"he", "ll", "hell"}, {"h e", "l l", "he ll"},
                             {"<|end|>"});
    const baton::Bytes bytes = builder.Build();
    const auto header = baton::gguf::ParseHeader(bytes, bytes.size());
    tokenizers.push_back(baton::Tokenizer::FromMetadata(header->metadata).value());
  }
  return tokenizers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<baton::Tokenizer> tokenizers = MakeTokenizers();
  if (size == 0) return 0;
  const baton::Tokenizer& tokenizer = tokenizers[data[0] % tokenizers.size()];
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto tokens = tokenizer.Encode(text);
  CHECK(tokens.ok(), "{}", tokens.error().message());
  CHECK(tokenizer.Decode(*tokens) == text, "lost something");
  baton::StreamDecoder decoder(tokenizer);
  std::string streamed;
  for (const baton::TokenId token : *tokens) {
    streamed += decoder.Push(token);
    CHECK(baton::ValidUtf8Prefix(streamed) == streamed.size(), "half a character");
  }
  streamed += decoder.Finish();
  if (baton::ValidUtf8Prefix(text) == text.size()) CHECK(streamed == text, "stream differs");
  return 0;
}
