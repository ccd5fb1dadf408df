// Moves one layer's K and V of one sequence between rows, pages and the wire. Plain code over the
// page layout that device::KvShape describes; conversions come from the kernel table.
#pragma once

#include <cstdint>
#include <span>

#include "device/device.h"
#include "kernels/table.h"

namespace baton::device {

// Writes F32 rows of all kv heads (kv_heads * head_dim floats each) as tokens [first, ...).
void StoreKeys(const kernels::KernelTable& kernels, const KvLayer& layer, int head, int first,
               Rows rows);
void StoreValues(const kernels::KernelTable& kernels, const KvLayer& layer, int head, int first,
                 Rows rows);

// Bytes of one of K and V for `count` tokens of one head.
size_t WireHeadBytes(const KvShape& shape, int count, KvWireType type);

void ExportSlab(const kernels::KernelTable& kernels, const KvLayer& layer, int first, int count,
                KvWireType type, std::span<uint8_t> into);
void ImportSlab(const kernels::KernelTable& kernels, const KvLayer& layer, int first, int count,
                KvWireType type, std::span<const uint8_t> wire);

}  // namespace baton::device
