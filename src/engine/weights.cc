#include "engine/weights.h"

namespace baton::engine {
namespace {

Result<Vector> CopyOf(const Model& model, const TensorView& tensor) {
  if (tensor.type != DType::kF32) {
    return MakeError(Code::kInvalidArgument, "a norm or bias of type {}, not F32",
                     InfoOf(tensor.type).name);
  }
  Vector values(tensor.size_bytes / sizeof(float));
  BATON_RETURN_IF_ERROR(model.ReadRows(
      tensor, 0, tensor.rows(), {reinterpret_cast<uint8_t*>(values.data()), tensor.size_bytes}));
  return values;
}

}  // namespace

Result<MatrixPtr> WeightLoader::Pack(const TensorView& tensor) {
  model_.mapping().WillNeed(tensor.file_offset, tensor.size_bytes);
  const auto read = [&](size_t first, size_t count, std::span<uint8_t> into) {
    return model_.ReadRows(tensor, static_cast<int64_t>(first), static_cast<int64_t>(count), into);
  };
  BATON_ASSIGN_OR_RETURN(auto matrix, device_.Pack({tensor.type, static_cast<size_t>(tensor.rows()),
                                                    static_cast<size_t>(tensor.cols()), read}));
  packed_bytes_ += matrix->size_bytes();
  Report(tensor);
  return MatrixPtr(std::move(matrix));
}

void WeightLoader::Report(const TensorView& tensor) {
  bytes_done_ += tensor.size_bytes;
  if (progress_) progress_(bytes_done_, bytes_total_);
}

Result<MatrixPtr> WeightLoader::LoadMatrix(std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorView tensor, model_.Tensor(name));
  return Pack(tensor);
}

Result<MatrixPtr> WeightLoader::LoadLayerMatrix(int layer, std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorView tensor, model_.LayerTensor(layer, name));
  return Pack(tensor);
}

Result<Vector> WeightLoader::LoadVector(std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorView tensor, model_.Tensor(name));
  Report(tensor);
  return CopyOf(model_, tensor);
}

Result<Vector> WeightLoader::LoadLayerVector(int layer, std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorView tensor, model_.LayerTensor(layer, name));
  Report(tensor);
  return CopyOf(model_, tensor);
}

}  // namespace baton::engine
