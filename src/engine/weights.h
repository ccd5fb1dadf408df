// WeightLoader: brings the tensors a family asks for onto a device. They are read piece by piece
// through the file descriptor and packed while they are in the caches: weights are never in memory
// twice, and a file that shrinks meanwhile is an error, where a mapping would end the process.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "engine/stage.h"
#include "model/model.h"

namespace baton::engine {

using MatrixPtr = std::shared_ptr<const device::Matrix>;
using Vector = std::vector<float>;

// The order in which rows of a tensor become rows of a matrix: those of the file, or, where heads
// of `head_dim` rows have the pairs that turn together as halves of `turning` rows, from row
// `first` on, rows first + i and first + i + turning / 2 of each head become first + 2i and first +
// 2i + 1.
struct RowOrder {
  int64_t head_dim = 0;
  int64_t turning = 0;
  int64_t first = 0;

  int64_t InFile(int64_t row) const;
};
RowOrder TurningOrder(const ModelSpec& spec);

class WeightLoader {
 public:
  // `bytes_total` is what `progress` is told to expect.
  WeightLoader(const Model& model, device::Device& device, uint64_t bytes_total, Progress progress)
      : model_(model), device_(device), bytes_total_(bytes_total), progress_(std::move(progress)) {}

  Result<MatrixPtr> LoadMatrix(std::string_view name);
  Result<MatrixPtr> LoadLayerMatrix(int layer, std::string_view name, RowOrder order = {});
  // Rows [first, first + rows) of a tensor that holds several matrices, whole heads each.
  Result<MatrixPtr> LoadLayerRows(int layer, std::string_view name, int64_t first, int64_t rows,
                                  RowOrder order = {});
  // The same turned over, its columns as rows: as F32 where it is F32, else as BF16.
  Result<MatrixPtr> LoadLayerColumns(int layer, std::string_view name, int64_t first, int64_t rows);
  // A tensor of [experts][rows][cols] as a matrix each.
  Result<std::vector<MatrixPtr>> LoadLayerExperts(int layer, std::string_view name);
  // F32 vectors: norms and biases.
  Result<Vector> LoadVector(std::string_view name);
  Result<Vector> LoadLayerVector(int layer, std::string_view name, RowOrder order = {});

  // Bytes of packed weights so far.
  uint64_t packed_bytes() const { return packed_bytes_; }

 private:
  // Rows [first, first + rows) of a tensor.
  Result<MatrixPtr> Pack(const TensorInfo& tensor, int64_t first, int64_t rows, RowOrder order);
  Status ReadRows(const TensorInfo& tensor, RowOrder order, int64_t first, int64_t count,
                  std::span<uint8_t> into) const;
  void Report(uint64_t bytes);

  const Model& model_;
  device::Device& device_;
  const uint64_t bytes_total_;
  const Progress progress_;
  uint64_t bytes_done_ = 0;
  uint64_t packed_bytes_ = 0;
};

}  // namespace baton::engine
