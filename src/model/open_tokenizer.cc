#include "model/open_tokenizer.h"

namespace baton {

Result<HubTokenizer> OpenTokenizer(const Checkpoint& checkpoint, int32_t vocab_size) {
  if (const auto files = checkpoint.tokenizer_files()) {
    if (files->tokenizer_json.empty() && files->tokenizer_model.empty())
      return MakeError(Code::kNotFound,
                       "there is no 'tokenizer.json' or 'tokenizer.model' beside the weights");
    return ReadTokenizerFiles(*files, vocab_size);
  }
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
