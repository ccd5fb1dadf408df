#include "tensor/kv_type.h"

#include <algorithm>

#include "tensor/blocks.h"

namespace baton {
namespace {

constexpr KvType kAll[] = {KvType::kF32, KvType::kF16, KvType::kQ8_0};

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
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kF16:
      return "f16";
    case KvType::kQ8_0:
      break;
  }
  return "q8_0";
}

Status CheckHeads(KvType type, int head_dim) {
  if (type != KvType::kQ8_0 || head_dim % int{BlockQ8_0::kElements} == 0) return OkStatus();
  return MakeError(Code::kInvalidArgument,
                   "a KV cache of {} takes heads of whole blocks of {}, not of {} elements",
                   NameOf(type), BlockQ8_0::kElements, head_dim);
}

bool TravelsAs(KvType kept, KvType type) {
  return kept == type || (kept == KvType::kF16 && type == KvType::kQ8_0);
}

size_t KvBytesOf(KvType type, size_t elements) {
  switch (type) {
    case KvType::kF32:
      return elements * sizeof(float);
    case KvType::kF16:
      return elements * sizeof(Half);
    case KvType::kQ8_0:
      break;
  }
  return elements / BlockQ8_0::kElements * sizeof(BlockQ8_0);
}

int PagesHeld(int tokens, int window, int chunk_tokens) {
  const int all = (tokens + kPageTokens - 1) / kPageTokens;
  if (window == 0 || window >= tokens) return all;
  // Pages before the one that the chunk begins in, and then on to its end.
  const auto pages = [](int64_t n) { return (n + kPageTokens - 1) / kPageTokens; };
  const int64_t held = pages(int64_t{window} - 1) + pages(int64_t{chunk_tokens} + kPageTokens - 1);
  return static_cast<int>(std::min<int64_t>(all, held));
}

}  // namespace baton
