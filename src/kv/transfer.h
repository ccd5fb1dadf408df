// Export and import of KV between pages and the canonical wire layout (docs/formats/kv-stream.md):
//
//   K then V, each [kv head][token][head dim], little endian
//   f32   4 bytes per element
//   f16   2 bytes per element
//   q8_0  blocks of 32 along head dim: f16 scale, 32 x int8 (tensor/blocks.h BlockQ8_0)
//
// The type of the pages travels bit for bit. Pages of f16 also give and take q8_0; others nothing
// else.
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

// One layer of tokens [first, first + count).
struct Slab {
  int layer = 0;
  int first = 0;
  int count = 0;
};

// Bytes of `count` tokens of one layer on the wire.
size_t WireBytes(KvShape shape, int count, KvType type);

// kInvalidArgument if the slab lies outside `pages` or in parts that are gone, or if such pages or
// heads do not travel as `type`.
Result<Bytes> ExportKv(const PagePool& pool, const PageTable& pages, Slab slab, KvType type);
// The same into memory of exactly WireBytes().
Status ExportKvInto(const PagePool& pool, const PageTable& pages, Slab slab, KvType type,
                    std::span<uint8_t> into);
// kInvalidArgument also if `wire` has not exactly WireBytes().
Status ImportKv(const PagePool& pool, const PageTable& pages, Slab slab, KvType type,
                std::span<const uint8_t> wire);

}  // namespace baton::kv
