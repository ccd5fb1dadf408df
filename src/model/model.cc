#include "model/model.h"

#include "model/fingerprint.h"
#include "model/spec_reader.h"

namespace baton {
namespace {

Result<Tokenizer> OpenTokenizer(const gguf::File& file, const ModelSpec& spec) {
  BATON_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::FromMetadata(file.metadata()));
  if (tokenizer.vocab_size() != spec.vocab_size)
    return MakeError(Code::kInvalidArgument,
                     "the vocabulary has {} tokens, but token_embd.weight has {} rows",
                     tokenizer.vocab_size(), spec.vocab_size);
  return tokenizer;
}

TensorView ToView(const gguf::TensorInfo& info, const os::MappedFile& mapping) {
  return {.type = info.type,
          .shape = info.shape,
          .data = mapping.bytes().data() + info.file_offset,
          .file_offset = info.file_offset,
          .size_bytes = info.size_bytes};
}

}  // namespace

Model::Model(gguf::File file, ModelSpec spec, Tokenizer tokenizer, std::string chat_template,
             std::string fingerprint)
    : mapping_(std::move(file).TakeMapping()),
      tensors_(file.header().tensors),
      spec_(std::move(spec)),
      tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)),
      fingerprint_(std::move(fingerprint)) {}

Result<std::shared_ptr<const Model>> Model::Open(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(gguf::File file, gguf::File::Open(path));
  auto spec = ReadSpec(file);
  if (!spec.ok()) return spec.error().Within(path);
  auto tokenizer = OpenTokenizer(file, *spec);
  if (!tokenizer.ok()) return tokenizer.error().Within(path);
  auto chat_template = file.metadata().StringOr("tokenizer.chat_template", "");
  if (!chat_template.ok()) return chat_template.error().Within(path);
  BATON_ASSIGN_OR_RETURN(std::string fingerprint, Fingerprint(file));
  std::string source(*chat_template);
  return std::shared_ptr<const Model>(new Model(std::move(file), *std::move(spec),
                                                *std::move(tokenizer), std::move(source),
                                                std::move(fingerprint)));
}

Result<TensorView> Model::Tensor(std::string_view name) const {
  const gguf::TensorInfo* info = gguf::Find(tensors_, name);
  if (info == nullptr)
    return MakeError(Code::kNotFound, "model '{}' has no tensor '{}'", path(), name);
  return ToView(*info, mapping_);
}

Result<TensorView> Model::LayerTensor(int32_t layer, std::string_view name) const {
  return Tensor(fmt::format("blk.{}.{}", layer, name));
}

Status Model::ReadRows(const TensorView& tensor, int64_t first, int64_t count,
                       std::span<uint8_t> into) const {
  CHECK(first >= 0 && count >= 0 && first <= tensor.rows() - count, "rows {}+{} of {}", first,
        count, tensor.rows());
  CHECK(into.size() == static_cast<uint64_t>(count) * tensor.row_bytes());
  return mapping_.ReadAt(tensor.file_offset + static_cast<uint64_t>(first) * tensor.row_bytes(),
                         into);
}

}  // namespace baton
