// TensorView: where a tensor's bytes are and how to read them. It owns nothing.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace baton {

// Four extents, fastest first, as GGUF stores them: {cols, rows, depth, ...}; absent ones are 1.
using Shape = std::array<int64_t, 4>;

// A row-major tensor in memory: `rows()` rows of `cols()` elements, each row a whole number of
// blocks, rows directly behind each other. `data` stays valid as long as its owner (a Model).
struct TensorView {
  DType type = DType::kF32;
  Shape shape{1, 1, 1, 1};
  const uint8_t* data = nullptr;
  uint64_t file_offset = 0;  // of the first byte in the file, for positional reads
  uint64_t size_bytes = 0;   // == row_bytes() * rows()

  int64_t cols() const { return shape[0]; }
  int64_t rows() const { return shape[1] * shape[2] * shape[3]; }
  uint64_t row_bytes() const { return BytesOf(type, static_cast<size_t>(shape[0])); }
  std::span<const uint8_t> bytes() const { return {data, size_bytes}; }
};

}  // namespace baton
