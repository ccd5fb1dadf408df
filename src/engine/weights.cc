#include "engine/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/reference/table.h"
#include "kernels/to_floats.h"

namespace baton::engine {
namespace {

Result<Vector> CopyOf(const Model& model, const TensorInfo& tensor) {
  if (tensor.type != DType::kF32) {
    return MakeError(Code::kInvalidArgument, "a norm or bias of type {}, not F32",
                     InfoOf(tensor.type).name);
  }
  Vector values(tensor.size_bytes / sizeof(float));
  BATON_RETURN_IF_ERROR(model.ReadRows(
      tensor, 0, tensor.rows(), {reinterpret_cast<uint8_t*>(values.data()), tensor.size_bytes}));
  const auto wrong =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (wrong != values.end())
    return MakeError(Code::kInvalidArgument, "tensor '{}' holds {} at {}", tensor.name, *wrong,
                     wrong - values.begin());
  return values;
}

}  // namespace

int64_t RowOrder::InFile(int64_t row) const {
  const int64_t in_head = turning == 0 ? -1 : row % head_dim - first;
  if (in_head < 0 || in_head >= turning) return row;
  return row - in_head + in_head % 2 * (turning / 2) + in_head / 2;
}

RowOrder TurningOrder(const ModelSpec& spec) {
  if (!spec.rope.halves) return {};
  return {.head_dim = spec.head_dim, .turning = spec.rope.dimensions};
}

Status WeightLoader::ReadRows(const TensorInfo& tensor, RowOrder order, int64_t first,
                              int64_t count, std::span<uint8_t> into) const {
  if (order.turning == 0) return model_.ReadRows(tensor, first, count, into);
  for (int64_t i = 0; i < count; ++i) {
    const auto row = into.subspan(i * tensor.row_bytes(), tensor.row_bytes());
    BATON_RETURN_IF_ERROR(model_.ReadRows(tensor, order.InFile(first + i), 1, row));
  }
  return OkStatus();
}

Result<MatrixPtr> WeightLoader::Pack(const TensorInfo& tensor, int64_t first, int64_t rows,
                                     RowOrder order) {
  const uint64_t bytes = static_cast<uint64_t>(rows) * tensor.row_bytes();
  model_.WillNeed(tensor, first, rows);
  const auto read = [&](size_t begin, size_t count, std::span<uint8_t> into) {
    return ReadRows(tensor, order, first + static_cast<int64_t>(begin), static_cast<int64_t>(count),
                    into);
  };
  BATON_ASSIGN_OR_RETURN(auto matrix, device_.Pack({tensor.type, static_cast<size_t>(rows),
                                                    static_cast<size_t>(tensor.cols()), read}));
  packed_bytes_ += matrix->size_bytes();
  Report(bytes);
  return MatrixPtr(std::move(matrix));
}

void WeightLoader::Report(uint64_t bytes) {
  bytes_done_ += bytes;
  if (progress_) progress_(bytes_done_, bytes_total_);
}

Result<MatrixPtr> WeightLoader::LoadMatrix(std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorInfo tensor, model_.Tensor(name));
  return Pack(tensor, 0, tensor.rows(), {});
}

Result<MatrixPtr> WeightLoader::LoadLayerMatrix(int layer, std::string_view name, RowOrder order) {
  BATON_ASSIGN_OR_RETURN(const TensorInfo tensor, model_.LayerTensor(layer, name));
  return Pack(tensor, 0, tensor.rows(), order);
}

Result<MatrixPtr> WeightLoader::LoadLayerRows(int layer, std::string_view name, int64_t first,
                                              int64_t rows, RowOrder order) {
  BATON_ASSIGN_OR_RETURN(const TensorInfo tensor, model_.LayerTensor(layer, name));
  return Pack(tensor, first, rows, order);
}

Result<MatrixPtr> WeightLoader::LoadLayerColumns(int layer, std::string_view name, int64_t first,
                                                 int64_t rows) {
  BATON_ASSIGN_OR_RETURN(const TensorInfo tensor, model_.LayerTensor(layer, name));
  if (kernels::MatrixKernelsOf(kernels::kReferenceTable, tensor.type) == nullptr)
    return MakeError(Code::kInvalidArgument, "no kernels for weights of type {}",
                     InfoOf(tensor.type).name);
  std::vector<uint8_t> stored(static_cast<uint64_t>(rows) * tensor.row_bytes());
  BATON_RETURN_IF_ERROR(model_.ReadRows(tensor, first, rows, stored));
  Report(stored.size());
  const TensorView view{tensor.type, {tensor.cols(), rows, 1, 1}, stored.data()};
  const std::vector<float> values = kernels::ToFloats(kernels::kReferenceTable, view);
  const bool exact = tensor.type == DType::kF32;
  const auto read = [&](size_t begin, size_t count, std::span<uint8_t> into) {
    for (size_t i = 0, at = 0; i < count * static_cast<size_t>(rows); ++i) {
      const size_t column = begin + i / static_cast<size_t>(rows);
      const float value = values[i % static_cast<size_t>(rows) * tensor.cols() + column];
      const uint16_t brain = kernels::ToBrainFactor(value);
      std::memcpy(&into[at], exact ? static_cast<const void*>(&value) : &brain, exact ? 4 : 2);
      at += exact ? sizeof(value) : sizeof(brain);
    }
    return OkStatus();
  };
  BATON_ASSIGN_OR_RETURN(auto matrix, device_.Pack({exact ? DType::kF32 : DType::kBF16,
                                                    static_cast<size_t>(tensor.cols()),
                                                    static_cast<size_t>(rows), read}));
  packed_bytes_ += matrix->size_bytes();
  return MatrixPtr(std::move(matrix));
}

Result<std::vector<MatrixPtr>> WeightLoader::LoadLayerExperts(int layer, std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorInfo tensor, model_.LayerTensor(layer, name));
  std::vector<MatrixPtr> experts;
  const int64_t rows = tensor.shape[1];
  for (int64_t expert = 0; expert < tensor.shape[2]; ++expert) {
    BATON_ASSIGN_OR_RETURN(MatrixPtr matrix, Pack(tensor, expert * rows, rows, {}));
    experts.push_back(std::move(matrix));
  }
  return experts;
}

Result<Vector> WeightLoader::LoadVector(std::string_view name) {
  BATON_ASSIGN_OR_RETURN(const TensorInfo tensor, model_.Tensor(name));
  Report(tensor.size_bytes);
  return CopyOf(model_, tensor);
}

Result<Vector> WeightLoader::LoadLayerVector(int layer, std::string_view name, RowOrder order) {
  BATON_ASSIGN_OR_RETURN(const TensorInfo tensor, model_.LayerTensor(layer, name));
  Report(tensor.size_bytes);
  BATON_ASSIGN_OR_RETURN(const Vector in_file, CopyOf(model_, tensor));
  Vector values(in_file.size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = in_file[order.InFile(static_cast<int64_t>(i))];
  return values;
}

}  // namespace baton::engine
