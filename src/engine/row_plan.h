// RowPlan: the scratch memory of a pass.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "device/device.h"

namespace baton::engine {

// The rows of a pass, laid out in one buffer.
class RowPlan {
 public:
  // `rows` will be `count` rows of `width` elements. It must live until Allocate() returns.
  void Add(device::Rows& rows, size_t count, int width);
  Result<std::unique_ptr<device::Buffer>> Allocate(device::Device& device) const;

 private:
  std::vector<device::Rows*> placed_;
  size_t floats_ = 0;
};

}  // namespace baton::engine
