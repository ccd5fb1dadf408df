// Tokenizers as Hugging Face's hub has them: tokenizer.json (the format of the `tokenizers`
// library), tokenizer_config.json, generation_config.json and chat_template.jinja beside a model's
// weights. They yield the same Tokenizer and chat template that a GGUF file of the model holds.
//
// Understood: models BPE (byte-level, or with byte fallback) and Unigram; the normalizers,
// pre-tokenizers and decoders that language models use; post-processors that add tokens around a
// text; SentencePiece's tokenizer.model where there is no tokenizer.json. Any component that is not
// understood, or not exactly, is refused by its name: a tokenizer that is nearly right makes a
// model that is nearly right.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/tokenizer/chat_templates.h"
#include "model/tokenizer/tokenizer.h"

namespace baton {

// The texts of the files; empty ones are absent. One of tokenizer_json and tokenizer_model must be
// there, and the first of them counts.
struct TokenizerFiles {
  std::string_view tokenizer_json;
  std::string_view tokenizer_config;    // names BOS and EOS; may hold the chat template
  std::string_view generation_config;   // its eos_token_id end a generation, too
  std::string_view chat_template;       // goes before the one in tokenizer_config
  std::string_view tool_template;       // likewise, for requests with tools
  std::string_view tokenizer_model;     // SentencePiece's; with it, and not with tokenizer_json:
  std::string_view added_tokens;        // added_tokens.json, text to id
  std::string_view special_tokens_map;  // roles, as tokenizer_config has them
};

struct HubTokenizer {
  Tokenizer tokenizer;
  ChatTemplates chat_templates;
};

// `vocab_size` is the number of rows of the model's embedding: ids up to it that no token has
// become unused tokens, and added tokens beyond it, which the model cannot take, are left out. A
// vocabulary that needs more rows is refused. 0: as many as the files have. Fails with a sentence
// that names the file, the component and the offending value.
Result<HubTokenizer> ReadTokenizerFiles(const TokenizerFiles& files, int32_t vocab_size = 0);

}  // namespace baton
