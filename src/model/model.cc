#include "model/model.h"

#include "model/spec_reader.h"

namespace baton {
namespace {

Result<Tokenizer> OpenTokenizer(const Checkpoint& checkpoint, const ModelSpec& spec) {
  BATON_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::FromMetadata(checkpoint.metadata()));
  if (tokenizer.vocab_size() != spec.vocab_size)
    return MakeError(Code::kInvalidArgument,
                     "the vocabulary has {} tokens, but token_embd.weight has {} rows",
                     tokenizer.vocab_size(), spec.vocab_size);
  return tokenizer;
}

}  // namespace

Model::Model(std::unique_ptr<const Checkpoint> checkpoint, ModelSpec spec, Tokenizer tokenizer,
             std::string chat_template, std::string fingerprint)
    : checkpoint_(std::move(checkpoint)),
      spec_(std::move(spec)),
      tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)),
      fingerprint_(std::move(fingerprint)) {}

Result<std::shared_ptr<const Model>> Model::Open(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, Checkpoint::Open(path));
  auto spec = ReadSpec(*checkpoint);
  if (!spec.ok()) return spec.error().Within(path);
  auto tokenizer = OpenTokenizer(*checkpoint, *spec);
  if (!tokenizer.ok()) return tokenizer.error().Within(path);
  auto chat_template = checkpoint->metadata().StringOr("tokenizer.chat_template", "");
  if (!chat_template.ok()) return chat_template.error().Within(path);
  BATON_ASSIGN_OR_RETURN(std::string fingerprint, checkpoint->Fingerprint());
  std::string source(*chat_template);
  checkpoint->DropMetadata();
  return std::shared_ptr<const Model>(new Model(std::move(checkpoint), *std::move(spec),
                                                *std::move(tokenizer), std::move(source),
                                                std::move(fingerprint)));
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
