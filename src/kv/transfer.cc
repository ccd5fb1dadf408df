#include "kv/transfer.h"

#include "base/check.h"
#include "tensor/blocks.h"

namespace baton::kv {
namespace {

Status CheckSlab(const PagePool& pool, const PageTable& pages, Slab slab, KvType type) {
  if (!pool.layers().Contains(slab.layer)) {
    return MakeError(Code::kInvalidArgument, "layer {} is not in [{}, {})", slab.layer,
                     pool.layers().first, pool.layers().last);
  }
  const int64_t end = int64_t{slab.first} + slab.count;
  if (slab.first < 0 || slab.count <= 0 ||
      end > int64_t{kPageTokens} * static_cast<int64_t>(pages.size())) {
    return MakeError(Code::kInvalidArgument, "tokens [{}, {}) are outside {} pages", slab.first,
                     end, pages.size());
  }
  for (int64_t page = slab.first / kPageTokens; page * kPageTokens < end; ++page) {
    if (pool.FrameOf(pages[static_cast<size_t>(page)], slab.layer) < 0)
      return MakeError(Code::kInvalidArgument, "layer {} no longer has the tokens from {} on",
                       slab.layer, page * kPageTokens);
  }
  if (!FindKvType(static_cast<uint8_t>(type))) {
    return MakeError(Code::kInvalidArgument, "unknown KV type {}", static_cast<int>(type));
  }
  const KvType kept = pool.layout().type;
  if (!TravelsAs(kept, type)) {
    return MakeError(Code::kInvalidArgument, "a KV cache of {} does not travel as {}", NameOf(kept),
                     NameOf(type));
  }
  return device::CheckShape(type, pool.shape());
}

}  // namespace

size_t WireBytes(KvShape shape, int count, KvType type) {
  return KvBytesOf(type, size_t{1} * shape.halves() * shape.kv_heads * shape.head_dim * count);
}

Status ExportKvInto(const PagePool& pool, const PageTable& pages, Slab slab, KvType type,
                    std::span<uint8_t> into) {
  BATON_RETURN_IF_ERROR(CheckSlab(pool, pages, slab, type));
  CHECK(into.size() == WireBytes(pool.shape(), slab.count, type));
  const std::vector<int32_t> frames = FramesOf(pool, pages, slab.layer);
  pool.device().ExportKv(LayerOf(pool, frames), slab.first, slab.count, type, into);
  return OkStatus();
}

Result<Bytes> ExportKv(const PagePool& pool, const PageTable& pages, Slab slab, KvType type) {
  BATON_RETURN_IF_ERROR(CheckSlab(pool, pages, slab, type));
  Bytes wire(WireBytes(pool.shape(), slab.count, type));
  BATON_RETURN_IF_ERROR(ExportKvInto(pool, pages, slab, type, wire));
  return wire;
}

Status ImportKv(const PagePool& pool, const PageTable& pages, Slab slab, KvType type,
                std::span<const uint8_t> wire) {
  BATON_RETURN_IF_ERROR(CheckSlab(pool, pages, slab, type));
  const size_t expected = WireBytes(pool.shape(), slab.count, type);
  if (wire.size() != expected) {
    return MakeError(Code::kInvalidArgument, "{} tokens of KV are {} bytes, not {}", slab.count,
                     expected, wire.size());
  }
  const std::vector<int32_t> frames = FramesOf(pool, pages, slab.layer);
  pool.device().ImportKv(LayerOf(pool, frames), slab.first, slab.count, type, wire);
  return OkStatus();
}

}  // namespace baton::kv
