#include "hub/synthetic_vocabulary.h"

#include <algorithm>
#include <array>

#include "model/tokenizer/byte_characters.h"

namespace baton::hub {

// Bytes, so that any text can be encoded, words that nothing encodes to, and control tokens.
void AddSyntheticVocabulary(int32_t size, gguf::HeaderBuilder& header) {
  constexpr std::array<std::string_view, kControlTokens> kControl = {
      "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>",
      "<|end_header_id|>"};
  std::vector<std::string> tokens(ByteCharacters().begin(), ByteCharacters().end());
  const int32_t first_control = size - kControlTokens;
  for (int32_t id = 256; id < first_control; ++id)
    tokens.push_back(fmt::format("{}w{}", ByteCharacters()[' '], id));
  tokens.insert(tokens.end(), kControl.begin(), kControl.end());
  std::vector<int32_t> types(tokens.size(), 1);
  std::fill(types.end() - kControlTokens, types.end(), 3);
  header.AddString("tokenizer.ggml.model", "gpt2");
  header.AddString("tokenizer.ggml.pre", "llama-bpe");
  header.AddStrings("tokenizer.ggml.tokens", tokens);
  header.AddInt32s("tokenizer.ggml.token_type", types);
  header.AddStrings("tokenizer.ggml.merges", {});
  header.AddUint32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(first_control));
  header.AddUint32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(first_control + 2));
  header.AddBool("tokenizer.ggml.add_bos_token", true);
  header.AddString(
      "tokenizer.chat_template",
      "{{- bos_token }}{%- for message in messages %}{{- '<|start_header_id|>' + message.role + "
      "'<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}{%- endfor %}"
      "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' "
      "}}{%- endif %}");
}

}  // namespace baton::hub
