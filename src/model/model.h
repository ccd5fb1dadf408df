// Model: an opened model. Its metadata is read and checked once, at Open; of the weights only
// the tensors that a caller asks for are ever touched (and 4 KiB of each for the fingerprint), so a
// node that runs some layers reads only those.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/spec.h"
#include "model/tokenizer/chat_templates.h"
#include "model/tokenizer/tokenizer.h"

namespace baton {

// Immutable; any thread.
class Model {
 public:
  // Fails with a sentence that names the offending key, tensor or value. Every tensor that the
  // family needs is there, has the shape that the spec implies and a type that baton computes with;
  // norms and biases are F32; no layer holds a tensor that the family would ignore.
  static Result<std::shared_ptr<const Model>> Open(const std::string& path);
  // Of what is opened and read already.
  static Result<std::shared_ptr<const Model>> Create(std::unique_ptr<Checkpoint> checkpoint,
                                                     ModelSpec spec, HubTokenizer tokenizer);

  const std::string& path() const { return checkpoint_->path(); }
  const ModelSpec& spec() const { return spec_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const ChatTemplates& chat_templates() const { return chat_templates_; }
  // Identity over nodes: see model/fingerprint.h.
  const std::string& fingerprint() const { return fingerprint_; }

  // Names as GGUF has them: "token_embd.weight", "output_norm.weight", "output.weight" (absent when
  // tied). kNotFound names the tensor.
  Result<TensorInfo> Tensor(std::string_view name) const;
  // "blk.LAYER.NAME": attn_norm.weight {hidden}, attn_q.weight {hidden, q_width},
  // attn_k.weight and attn_v.weight {hidden, kv_width}, attn_output.weight {q_width, hidden},
  // ffn_norm.weight {hidden}, ffn_gate.weight and ffn_up.weight {hidden, ffn_width},
  // ffn_down.weight {ffn_width, hidden}; ".bias" {rows of the weight} where the spec says so.
  Result<TensorInfo> LayerTensor(int32_t layer, std::string_view name) const;
  // As Checkpoint has them.
  Status ReadRows(const TensorInfo& tensor, int64_t first, int64_t count,
                  std::span<uint8_t> into) const {
    return checkpoint_->ReadRows(tensor, first, count, into);
  }
  void WillNeed(const TensorInfo& tensor, int64_t first, int64_t count) const {
    checkpoint_->WillNeed(tensor, first, count);
  }
  // The tensor directory, sorted by name.
  const std::vector<TensorInfo>& tensors() const { return checkpoint_->tensors(); }

 private:
  Model(std::unique_ptr<const Checkpoint> checkpoint, ModelSpec spec, Tokenizer tokenizer,
        ChatTemplates chat_templates, std::string fingerprint);

  std::unique_ptr<const Checkpoint> checkpoint_;
  ModelSpec spec_;
  Tokenizer tokenizer_;
  ChatTemplates chat_templates_;
  std::string fingerprint_;
};

}  // namespace baton
