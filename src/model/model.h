// Model: an opened model file. Its metadata is read and checked once, at Open; of the weights only
// the tensors that a caller asks for are ever touched (and 4 KiB of each for the fingerprint), so a
// node that runs some layers reads only those.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/gguf/reader.h"
#include "model/spec.h"
#include "model/tokenizer/tokenizer.h"
#include "os/file.h"
#include "tensor/tensor_view.h"

namespace baton {

// Immutable; any thread. Shared, because views into it must not outlive it: hold the pointer for as
// long as any TensorView.
class Model {
 public:
  // Fails with a sentence that names the offending key, tensor or value. Every tensor that the
  // family needs is there, has the shape that the spec implies and a type that baton computes with;
  // norms and biases are F32; no layer holds a tensor that the family would ignore.
  static Result<std::shared_ptr<const Model>> Open(const std::string& path);

  const std::string& path() const { return mapping_.path(); }
  const ModelSpec& spec() const { return spec_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  // Jinja source of the chat template; empty where the file has none.
  const std::string& chat_template() const { return chat_template_; }
  // Identity over nodes: see model/fingerprint.h.
  const std::string& fingerprint() const { return fingerprint_; }

  // Names as GGUF has them: "token_embd.weight", "output_norm.weight", "output.weight" (absent when
  // tied). kNotFound names the tensor.
  Result<TensorView> Tensor(std::string_view name) const;
  // "blk.LAYER.NAME": attn_norm.weight {hidden}, attn_q.weight {hidden, q_width},
  // attn_k.weight and attn_v.weight {hidden, kv_width}, attn_output.weight {q_width, hidden},
  // ffn_norm.weight {hidden}, ffn_gate.weight and ffn_up.weight {hidden, ffn_width},
  // ffn_down.weight {ffn_width, hidden}; ".bias" {rows of the weight} where the spec says so.
  Result<TensorView> LayerTensor(int32_t layer, std::string_view name) const;
  // Copies rows [first, first + count) of a tensor of this model through the file descriptor: fails
  // where touching a mapping of a file that shrank would end the process.
  Status ReadRows(const TensorView& tensor, int64_t first, int64_t count,
                  std::span<uint8_t> into) const;
  // For read-ahead hints.
  const os::MappedFile& mapping() const { return mapping_; }
  // The tensor directory, sorted by name.
  const std::vector<gguf::TensorInfo>& tensors() const { return tensors_; }

 private:
  Model(gguf::File file, ModelSpec spec, Tokenizer tokenizer, std::string chat_template,
        std::string fingerprint);

  os::MappedFile mapping_;
  std::vector<gguf::TensorInfo> tensors_;
  ModelSpec spec_;
  Tokenizer tokenizer_;
  std::string chat_template_;
  std::string fingerprint_;
};

}  // namespace baton
