// From the tensors that files store to those that a family asks for: GGUF's names and shapes, each
// made of one stored matrix or of one for each expert, with the scales that lie beside it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/safetensors/config.h"
#include "model/safetensors/decode.h"
#include "model/safetensors/header.h"

namespace baton::safetensors {

// Where bytes of one row after another lie.
struct Run {
  size_t file = 0;
  uint64_t offset = 0;
  uint64_t row_bytes = 0;
};

// How stored rows become those of the tensor.
enum class Conversion : uint8_t { kNone, kToFloat, kTransposed, kF8, kMxfp4, kMlx };

// Some rows of a tensor: all of it, or one expert's.
struct Piece {
  Run weight;
  Run scales;  // kF8, kMxfp4, kMlx
  Run biases;  // kMlx
};

struct Place {
  Conversion conversion = Conversion::kNone;
  std::vector<Piece> pieces;
  int64_t piece_rows = 0;   // of the tensor, in each piece
  int64_t row_step = 1;     // of the stored rows, which begin at...
  int64_t row_first = 0;    // ...this one
  int64_t column_step = 1;  // likewise; kToFloat, and kTransposed, whose columns become rows
  int64_t column_first = 0;
  StoredType stored = StoredType::kF32;  // kToFloat
  float offset = 0;                      // kToFloat: is added
  int64_t f8_rows = 0;                   // kF8: that share scales, of which...
  int64_t f8_columns = 0;                // ...each has so many columns
  StoredType scales = StoredType::kF32;  // kF8
  MlxFormat mlx;
};

struct TensorMap {
  std::vector<TensorInfo> tensors;  // TensorInfo::place indexes...
  std::vector<Place> places;
};

// Errors name the tensor as its file does. Tensors that no family of `config` knows are refused;
// whether all are there is for the family to see.
// Pure; `files` has the tensors of each.
using TensorsOfFile = std::span<const StoredTensor>;
Result<TensorMap> MapTensors(const HubConfig& config, std::span<const TensorsOfFile> files);

}  // namespace baton::safetensors
