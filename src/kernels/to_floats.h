// A stored tensor as the floats that its format spells: for tests and tools, not for speed.
#pragma once

#include <cstring>
#include <vector>

#include "kernels/half.h"
#include "kernels/table.h"
#include "tensor/tensor_view.h"

namespace baton::kernels {

inline std::vector<float> ToFloats(const KernelTable& table, const TensorView& tensor) {
  const MatrixKernels& kernels = *MatrixKernelsOf(table, tensor.type);
  const auto columns = static_cast<size_t>(tensor.cols());
  const auto rows = static_cast<size_t>(tensor.rows());
  std::vector<float> values(rows * columns);
  if (tensor.type == DType::kF16) {  // which panels hold as BF16
    for (size_t i = 0; i < values.size(); ++i) {
      Half half;
      std::memcpy(&half, tensor.data + i * sizeof(half), sizeof(half));
      values[i] = FromHalf(half);
    }
    return values;
  }
  std::vector<uint8_t> panel(kernels.panel_bytes(columns));
  for (size_t row = 0; row < rows; ++row) {
    kernels.pack(tensor.data + row * tensor.row_bytes(), 1, columns, panel.data());
    kernels.unpack_row(panel.data(), 0, columns, &values[row * columns]);
  }
  return values;
}

}  // namespace baton::kernels
