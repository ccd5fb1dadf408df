#include "device/device.h"

#include <cstring>

#include "base/check.h"

namespace baton::device {

Status CheckShape(KvType type, const KvShape& shape) {
  BATON_RETURN_IF_ERROR(CheckHeads(type, shape.head_dim));
  return CheckHeads(type, shape.latent);
}

RowReader RowsIn(std::span<const uint8_t> bytes, size_t row_bytes) {
  return [bytes, row_bytes](size_t first, size_t count, std::span<uint8_t> into) -> Status {
    CHECK(into.size() == count * row_bytes, "{} bytes of {} rows", into.size(), count);
    if (count * row_bytes > bytes.size() || first * row_bytes > bytes.size() - into.size()) {
      return MakeError(Code::kInvalidArgument, "{} bytes hold no rows up to {}", bytes.size(),
                       first + count);
    }
    std::memcpy(into.data(), bytes.data() + first * row_bytes, into.size());
    return OkStatus();
  };
}

}  // namespace baton::device
