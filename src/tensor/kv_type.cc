#include "tensor/kv_type.h"

#include <algorithm>

#include "tensor/blocks.h"

namespace baton {
namespace {

constexpr KvType kAll[] = {KvType::kF16, KvType::kQ8_0};

}  // namespace

std::optional<KvType> FindKvType(uint8_t number) {
  for (const KvType type : kAll) {
    if (static_cast<uint8_t>(type) == number) return type;
  }
  return std::nullopt;
}

std::optional<KvType> FindKvTypeByName(std::string_view name) {
  for (const KvType type : kAll) {
    if (NameOf(type) == name) return type;
  }
  return std::nullopt;
}

std::string_view NameOf(KvType type) {
  return type == KvType::kF16 ? "f16" : "q8_0";
}

Status CheckHeads(KvType type, int head_dim) {
  if (type != KvType::kQ8_0 || head_dim % int{BlockQ8_0::kElements} == 0) return OkStatus();
  return MakeError(Code::kInvalidArgument,
                   "a KV cache of {} takes heads of whole blocks of {}, not of {} elements",
                   NameOf(type), BlockQ8_0::kElements, head_dim);
}

size_t KvBytesOf(KvType type, size_t elements) {
  return type == KvType::kF16 ? elements * sizeof(Half)
                              : elements / BlockQ8_0::kElements * sizeof(BlockQ8_0);
}

}  // namespace baton
