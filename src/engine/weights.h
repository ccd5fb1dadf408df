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

class WeightLoader {
 public:
  // `bytes_total` is what `progress` is told to expect.
  WeightLoader(const Model& model, device::Device& device, uint64_t bytes_total, Progress progress)
      : model_(model), device_(device), bytes_total_(bytes_total), progress_(std::move(progress)) {}

  Result<MatrixPtr> LoadMatrix(std::string_view name);
  Result<MatrixPtr> LoadLayerMatrix(int layer, std::string_view name);
  // F32 vectors: norms and biases.
  Result<Vector> LoadVector(std::string_view name);
  Result<Vector> LoadLayerVector(int layer, std::string_view name);

  // Bytes of packed weights so far.
  uint64_t packed_bytes() const { return packed_bytes_; }

 private:
  Result<MatrixPtr> Pack(const TensorView& tensor);
  void Report(const TensorView& tensor);

  const Model& model_;
  device::Device& device_;
  const uint64_t bytes_total_;
  const Progress progress_;
  uint64_t bytes_done_ = 0;
  uint64_t packed_bytes_ = 0;
};

}  // namespace baton::engine
