// Export and import of KV between pages and the canonical wire layout (docs/formats/kv-stream.md):
//
//   K then V, each [kv head][token][head dim], little endian
//   f16   2 bytes per element, bit for bit what the pages hold
//   q8_0  blocks of 32 along head dim: f16 scale, 32 x int8 (tensor/blocks.h BlockQ8_0)
//
// May be called from any thread for (page, layer)s that nobody writes meanwhile (export) or touches
// meanwhile (import). They run at memory speed and take no locks.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "kv/sequence.h"

namespace baton::kv {

using device::KvWireType;

// One layer of tokens [first, first + count).
struct Slab {
  int layer = 0;
  int first = 0;
  int count = 0;
};

// Bytes of `count` tokens of one layer on the wire.
size_t WireBytes(KvShape shape, int count, KvWireType type);

// kInvalidArgument if the slab lies outside `pages`, or for q8_0 if head_dim is not a multiple
// of 32.
Result<Bytes> ExportKv(const PagePool& pool, const PageTable& pages, Slab slab, KvWireType type);
// The same into memory of exactly WireBytes().
Status ExportKvInto(const PagePool& pool, const PageTable& pages, Slab slab, KvWireType type,
                    std::span<uint8_t> into);
// kInvalidArgument also if `wire` has not exactly WireBytes().
Status ImportKv(const PagePool& pool, const PageTable& pages, Slab slab, KvWireType type,
                std::span<const uint8_t> wire);

}  // namespace baton::kv
