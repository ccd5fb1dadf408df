// GGUF headers, and the specification and vocabulary behind them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "model/gguf/reader.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/fuzz/header_checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto header = baton::gguf::ParseHeader(std::span(data, size), size);
  if (!header.ok()) return 0;
  std::vector<baton::TensorInfo> tensors;
  for (const auto& info : header->tensors)
    tensors.push_back({info.name, info.type, info.shape, info.size_bytes, tensors.size()});
  (void)baton::ReadSpec(baton::HeaderCheckpoint(header->metadata, std::move(tensors))).ok();
  const auto tokenizer = baton::Tokenizer::FromMetadata(header->metadata);
  if (!tokenizer.ok()) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), std::min<size_t>(size, 256));
  const auto tokens = tokenizer->Encode(text, {.parse_special = true, .add_special = true});
  if (tokens.ok()) (void)tokenizer->Decode(*tokens, true);
  return 0;
}
