#include "engine/row_plan.h"

namespace baton::engine {

using device::Rows;

void RowPlan::Add(Rows& rows, size_t count, int width) {
  rows = {nullptr, floats_, count, static_cast<size_t>(width)};
  floats_ += (count * static_cast<size_t>(width) + 15) / 16 * 16;
  placed_.push_back(&rows);
}

Result<std::unique_ptr<device::Buffer>> RowPlan::Allocate(device::Device& device) const {
  BATON_ASSIGN_OR_RETURN(auto memory, device.Allocate(floats_ * sizeof(float)));
  for (Rows* rows : placed_) rows->buffer = memory.get();
  return memory;
}

}  // namespace baton::engine
