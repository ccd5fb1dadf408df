// The encoder that tokenizer.json describes: normalizer, tokens matched in normalized text,
// pre-tokenizer, model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/tokenizer/pipeline/normalizer.h"
#include "model/tokenizer/pipeline/piece_model.h"
#include "model/tokenizer/pipeline/spelling.h"
#include "model/tokenizer/pipeline/splitter.h"
#include "model/tokenizer/special_tokens.h"
#include "model/tokenizer/text_encoder.h"

namespace baton {

struct PipelineParts {
  Normalizer normalizer;
  SpecialTokens special;  // by their normalized texts
  Splitter splitter;
  std::unique_ptr<const PieceModel> model;
  Spelling spelling;
};

class PipelineEncoder final : public TextEncoder {
 public:
  explicit PipelineEncoder(PipelineParts parts);
  Result<std::vector<TokenId>> Encode(const PlainText& plain) const override;
  std::string Spell(std::string_view stored_text) const override;
  bool AddsSpace() const override { return parts_.spelling.strips_space(); }

 private:
  // `valid` is UTF-8 and begins at `offset` of plain.text.
  Result<std::vector<TokenId>> EncodeValid(std::string_view valid, const PlainText& plain,
                                           size_t offset) const;
  Result<std::vector<TokenId>> EncodeInvalid(std::string_view bytes) const;
  MarkedText Marked(std::string_view valid, const PlainText& plain, size_t offset) const;

  const PipelineParts parts_;
  const bool needs_trust_;
};

}  // namespace baton
