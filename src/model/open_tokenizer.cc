#include "model/open_tokenizer.h"

#include "model/tokenizer/text_encoder.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {
namespace {

// Of a model that has none: tokens can be computed with, text cannot.
class NoTextEncoder final : public TextEncoder {
 public:
  explicit NoTextEncoder(std::string_view why) : why_(why) {}
  Result<std::vector<TokenId>> Encode(const PlainText&) const override {
    return MakeError(Code::kNotFound, "the model has no tokenizer: {}", why_);
  }
  std::string Spell(std::string_view) const override { return {}; }
  bool AddsSpace() const override { return false; }

 private:
  const std::string why_;
};

HubTokenizer NoTokenizer(std::string_view why) {
  TokenizerParts parts;
  parts.vocabulary =
      std::make_unique<Vocabulary>(Vocabulary::FromParts(VocabularyParts{.offsets = {0}}));
  parts.encoder = std::make_unique<NoTextEncoder>(why);
  parts.kind = "none";
  return {Tokenizer::FromParts(std::move(parts)), {}};
}

}  // namespace

Result<HubTokenizer> OpenTokenizer(const Checkpoint& checkpoint, int32_t vocab_size) {
  if (const auto files = checkpoint.tokenizer_files()) {
    if (files->tokenizer_json.empty() && files->tokenizer_model.empty())
      return NoTokenizer("there is no tokenizer.json or tokenizer.model beside the weights");
    return ReadTokenizerFiles(*files, vocab_size);
  }
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  BATON_ASSIGN_OR_RETURN(const auto kind, checkpoint.metadata().StringOr(kModel, "none"));
  if (kind == "none" || kind == "no_vocab")
    return NoTokenizer(fmt::format("key '{}' is missing or 'none'", kModel));
  BATON_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::FromMetadata(checkpoint.metadata()));
  if (vocab_size != 0 && tokenizer.vocab_size() != vocab_size)
    return MakeError(Code::kInvalidArgument,
                     "the vocabulary has {} tokens, but token_embd.weight has {} rows",
                     tokenizer.vocab_size(), vocab_size);
  const gguf::Metadata& metadata = checkpoint.metadata();
  BATON_ASSIGN_OR_RETURN(const auto standard, metadata.StringOr("tokenizer.chat_template", ""));
  BATON_ASSIGN_OR_RETURN(const auto with_tools,
                         metadata.StringOr("tokenizer.chat_template.tool_use", ""));
  return HubTokenizer{std::move(tokenizer), {std::string(standard), std::string(with_tools)}};
}

}  // namespace baton
