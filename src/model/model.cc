#include "model/model.h"

#include "model/open_tokenizer.h"
#include "model/spec_reader.h"

namespace baton {

Model::Model(std::unique_ptr<const Checkpoint> checkpoint, ModelSpec spec, Tokenizer tokenizer,
             ChatTemplates chat_templates, std::string fingerprint)
    : checkpoint_(std::move(checkpoint)),
      spec_(std::move(spec)),
      tokenizer_(std::move(tokenizer)),
      chat_templates_(std::move(chat_templates)),
      fingerprint_(std::move(fingerprint)) {}

Result<std::shared_ptr<const Model>> Model::Open(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, Checkpoint::Open(path));
  auto spec = ReadSpec(*checkpoint);
  if (!spec.ok()) return spec.error().Within(path);
  auto tokenizer = OpenTokenizer(*checkpoint, spec->vocab_size);
  if (!tokenizer.ok()) return tokenizer.error().Within(path);
  return Create(std::move(checkpoint), *std::move(spec), *std::move(tokenizer));
}

Result<std::shared_ptr<const Model>> Model::Create(std::unique_ptr<Checkpoint> checkpoint,
                                                   ModelSpec spec, HubTokenizer tokenizer) {
  BATON_ASSIGN_OR_RETURN(std::string fingerprint, checkpoint->Fingerprint());
  checkpoint->DropMetadata();
  return std::shared_ptr<const Model>(
      new Model(std::move(checkpoint), std::move(spec), std::move(tokenizer.tokenizer),
                std::move(tokenizer.chat_templates), std::move(fingerprint)));
}

Result<TensorInfo> Model::Tensor(std::string_view name) const {
  const TensorInfo* info = checkpoint_->Find(name);
  if (info == nullptr)
    return MakeError(Code::kNotFound, "model '{}' has no tensor '{}'", path(), name);
  return *info;
}

Result<TensorInfo> Model::LayerTensor(int32_t layer, std::string_view name) const {
  return Tensor(fmt::format("blk.{}.{}", layer, name));
}

}  // namespace baton
