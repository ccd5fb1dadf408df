// Moves one layer's K and V of one sequence between rows, pages and the wire. Plain code over the
// page layout that device::KvLayout describes; conversions come from the kernel table.
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
// Keys that are a latent each and then what lies behind it.
void StoreLatents(const kernels::KernelTable& kernels, const KvLayer& layer, int first,
                  Rows latents, Rows rest);

// The same with rows of the pages' type, head_dim elements each, one behind the other.
void StoreKeyRows(const KvLayer& layer, int head, int first, std::span<const uint8_t> rows);
void StoreValueRows(const KvLayer& layer, int head, int first, std::span<const uint8_t> rows);
void LoadKeyRows(const KvLayer& layer, int head, int first, std::span<uint8_t> rows);

// Zeroes the first `elements` elements of the keys of one head in a page's bytes of a layer; of
// Q8_0 the blocks that hold them.
void ClearKeyElements(const KvLayout& layout, int head, int elements, std::span<uint8_t> frame);

// Between pages and what travels (Device::ExportKv, ImportKv).
void ExportSlab(const kernels::KernelTable& kernels, const KvLayer& layer, int first, int count,
                KvType type, std::span<uint8_t> into);
void ImportSlab(const kernels::KernelTable& kernels, const KvLayer& layer, int first, int count,
                KvType type, std::span<const uint8_t> wire);

}  // namespace baton::device
