#include "engine/weights.h"

#include <cstring>

namespace baton::engine {
namespace {

Result<Vector> CopyOf(const TensorView& tensor) {
  if (tensor.type != DType::kF32) {
    return MakeError(Code::kInvalidArgument, "a norm or bias of type {}, not F32",
                     InfoOf(tensor.type).name);
  }
  Vector values(tensor.size_bytes / sizeof(float));
  std::memcpy(values.data(), tensor.data, values.size() * sizeof(float));
  return values;
}

}  // namespace

Result<MatrixPtr> WeightLoader::Pack(const TensorView& tensor) {
  model_.mapping().WillNeed(tensor.file_offset, tensor.size_bytes);
  BATON_ASSIGN_OR_RETURN(auto matrix,
                         device_.Pack({tensor.type, static_cast<size_t>(tensor.rows()),
                                       static_cast<size_t>(tensor.cols()), tensor.bytes()}));
  model_.mapping().DontNeed(tensor.file_offset, tensor.size_bytes);
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
  return CopyOf(tensor);
}

Result<Vector> WeightLoader::LoadLayerVector(int layer, std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorView tensor, model_.LayerTensor(layer, name));
  Report(tensor);
  return CopyOf(tensor);
}

}  // namespace baton::engine
