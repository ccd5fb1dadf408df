// A tiny valid llama as GGUF bytes, and vocabularies of a few tokens, for tests to damage.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/gguf/writer.h"
#include "model/tokenizer/byte_characters.h"

namespace baton {

// A byte-level vocabulary: 256 bytes, then `more`, then control tokens, with `merges`.
inline void AddByteVocabulary(gguf::HeaderBuilder& header, const std::string& pre,
                              const std::vector<std::string>& more,
                              const std::vector<std::string>& merges,
                              const std::vector<std::string>& control) {
  std::vector<std::string> tokens(ByteCharacters().begin(), ByteCharacters().end());
  tokens.insert(tokens.end(), more.begin(), more.end());
  std::vector<int32_t> types(tokens.size(), 1);
  tokens.insert(tokens.end(), control.begin(), control.end());
  types.resize(tokens.size(), 3);
  header.AddString("tokenizer.ggml.model", "gpt2");
  header.AddString("tokenizer.ggml.pre", pre);
  header.AddStrings("tokenizer.ggml.tokens", tokens);
  header.AddInt32s("tokenizer.ggml.token_type", types);
  header.AddStrings("tokenizer.ggml.merges", merges);
}

// What a test may change about the small model.
struct SmallModel {
  uint32_t n_layers = 2;
  uint32_t hidden = 32;
  uint32_t heads = 4;
  uint32_t kv_heads = 2;
  uint32_t ffn = 64;
  std::string architecture = "llama";
  bool tied = false;
  std::string skip_tensor;   // left out
  std::string extra_tensor;  // added
  std::vector<std::pair<std::string, uint32_t>> more_integers;
  std::vector<std::pair<std::string, float>> more_floats;
  std::vector<std::pair<std::string, std::string>> more_strings;

  static constexpr int64_t kVocabulary = 260;

  void AddTensor(gguf::HeaderBuilder& header, const std::string& name, int64_t cols,
                 int64_t rows) const {
    if (name != skip_tensor) header.AddTensor(name, DType::kF32, {cols, rows, 1, 1});
  }

  gguf::HeaderBuilder Header() const {
    gguf::HeaderBuilder header;
    header.AddString("general.architecture", architecture);
    header.AddUint32(architecture + ".block_count", n_layers);
    header.AddUint32(architecture + ".context_length", 128);
    header.AddUint32(architecture + ".embedding_length", hidden);
    header.AddUint32(architecture + ".feed_forward_length", ffn);
    header.AddUint32(architecture + ".attention.head_count", heads);
    header.AddUint32(architecture + ".attention.head_count_kv", kv_heads);
    header.AddFloat32(architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
    for (const auto& [key, value] : more_integers) header.AddUint32(key, value);
    for (const auto& [key, value] : more_floats) header.AddFloat32(key, value);
    for (const auto& [key, value] : more_strings) header.AddString(key, value);
    AddByteVocabulary(header, "llama-bpe", {"he", "ll"}, {"h e", "l l"}, {"<|end|>", "<|im_end|>"});
    AddTensors(header);
    return header;
  }

  void AddTensors(gguf::HeaderBuilder& header) const {
    const int64_t width = hidden;
    const int64_t kv = int64_t{hidden} / heads * kv_heads;
    AddTensor(header, "token_embd.weight", width, kVocabulary);
    for (uint32_t layer = 0; layer < 2; ++layer) {
      const std::string prefix = "blk." + std::to_string(layer) + ".";
      AddTensor(header, prefix + "attn_norm.weight", width, 1);
      AddTensor(header, prefix + "attn_q.weight", width, width);
      AddTensor(header, prefix + "attn_k.weight", width, kv);
      AddTensor(header, prefix + "attn_v.weight", width, kv);
      AddTensor(header, prefix + "attn_output.weight", width, width);
      AddTensor(header, prefix + "ffn_norm.weight", width, 1);
      AddTensor(header, prefix + "ffn_gate.weight", width, 64);
      AddTensor(header, prefix + "ffn_up.weight", width, 64);
      AddTensor(header, prefix + "ffn_down.weight", 64, width);
    }
    AddTensor(header, "output_norm.weight", width, 1);
    if (!tied) AddTensor(header, "output.weight", width, kVocabulary);
    if (!extra_tensor.empty()) header.AddTensor(extra_tensor, DType::kF32, {width, 1, 1, 1});
  }

  // The whole file; all weights are zero.
  Bytes File() const {
    const gguf::HeaderBuilder header = Header();
    Bytes bytes = header.Build();
    const std::vector<gguf::TensorInfo> tensors = header.Tensors();
    bytes.resize(tensors.back().file_offset + tensors.back().size_bytes);
    return bytes;
  }
};

}  // namespace baton
