#include "device/kv_layout.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "base/check.h"
#include "kernels/half.h"
#include "kernels/table.h"
#include "tensor/blocks.h"

namespace baton::device {
namespace {

using kernels::KernelTable;
using kernels::KeyBlockQ8_0;

constexpr int kLanes = 16;  // tokens of a key block
constexpr int kBlock = BlockQ8_0::kElements;

// Rows: the elements of consecutive tokens at one head, as they travel. 16 of them at a time.
using SomeRows = std::array<uint8_t, kLanes * kHeadDimMax * sizeof(float)>;

// One head's half of the page that holds a token.
uint8_t* KeysOf(const KvLayer& layer, int head, int token) {
  const size_t page = static_cast<size_t>(layer.pages[token / kPageTokens]) * layer.page_bytes;
  return layer.storage->host() + page + layer.layer_offset + head * layer.layout.head_bytes();
}

// The block of 16 tokens that a token's key lies in; its lane there is token % kLanes.
template <typename T>
T* KeyBlock(const KvLayer& layer, int head, int token) {
  const size_t block = token % kPageTokens / kLanes;
  return reinterpret_cast<T*>(KeysOf(layer, head, token) +
                              block * KvBytesOf(layer.layout.type, layer.layout.width() * kLanes));
}

uint8_t* ValueRow(const KvLayer& layer, int head, int token) {
  return KeysOf(layer, head, token) + layer.layout.half_bytes() +
         token % kPageTokens * KvBytesOf(layer.layout.type, layer.layout.width());
}

// Copies between `count` <= 16 columns (stride kLanes) and rows (stride `dim`), in squares of 16 so
// that both sides stay in L1.
template <typename T>
void ColumnsToRows(const T* columns, int count, int dim, T* rows) {
  for (int begin = 0; begin < dim; begin += kLanes) {
    const int end = std::min(dim, begin + kLanes);
    for (int t = 0; t < count; ++t) {
      for (int d = begin; d < end; ++d) rows[t * dim + d] = columns[d * kLanes + t];
    }
  }
}

template <typename T>
void RowsToColumns(const T* rows, int count, int dim, T* columns) {
  for (int begin = 0; begin < dim; begin += kLanes) {
    const int end = std::min(dim, begin + kLanes);
    for (int d = begin; d < end; ++d) {
      for (int t = 0; t < count; ++t) columns[d * kLanes + t] = rows[t * dim + d];
    }
  }
}

// The same for lanes [lane, lane + count) of Q8_0, whose rows may lie at odd addresses.
void BlocksToRows(const KeyBlockQ8_0* keys, int lane, int count, int dim, uint8_t* rows) {
  for (int t = 0; t < count; ++t) {
    for (int b = 0; b < dim / kBlock; ++b, rows += sizeof(BlockQ8_0)) {
      BlockQ8_0 block;
      block.d = keys[b].d[lane + t];
      for (int i = 0; i < kBlock; ++i) block.q[i] = keys[b].q[i][lane + t];
      std::memcpy(rows, &block, sizeof(block));
    }
  }
}

void RowsToBlocks(const uint8_t* rows, int lane, int count, int dim, KeyBlockQ8_0* keys) {
  for (int t = 0; t < count; ++t) {
    for (int b = 0; b < dim / kBlock; ++b, rows += sizeof(BlockQ8_0)) {
      BlockQ8_0 block;
      std::memcpy(&block, rows, sizeof(block));
      keys[b].d[lane + t] = block.d;
      for (int i = 0; i < kBlock; ++i) keys[b].q[i][lane + t] = block.q[i];
    }
  }
}

// Keys of tokens within one block of 16 <-> rows of the pages' type.
void LoadKeys(const KvLayer& layer, int head, int token, int count, SomeRows& rows) {
  const int dim = layer.layout.shape.head_dim;
  const int lane = token % kLanes;
  const auto from_columns = [&](auto* into) {
    using T = std::remove_pointer_t<decltype(into)>;
    ColumnsToRows<T>(KeyBlock<T>(layer, head, token) + lane, count, dim, into);
  };
  switch (layer.layout.type) {
    case KvType::kF32:
      return from_columns(reinterpret_cast<float*>(rows.data()));
    case KvType::kF16:
      return from_columns(reinterpret_cast<Half*>(rows.data()));
    case KvType::kQ8_0:
      break;
  }
  BlocksToRows(KeyBlock<KeyBlockQ8_0>(layer, head, token), lane, count, dim, rows.data());
}

void SaveKeys(const KvLayer& layer, int head, int token, int count, const SomeRows& rows) {
  const int dim = layer.layout.shape.head_dim;
  const int lane = token % kLanes;
  const auto to_columns = [&](const auto* from) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(from)>>;
    RowsToColumns<T>(from, count, dim, KeyBlock<T>(layer, head, token) + lane);
  };
  switch (layer.layout.type) {
    case KvType::kF32:
      return to_columns(reinterpret_cast<const float*>(rows.data()));
    case KvType::kF16:
      return to_columns(reinterpret_cast<const Half*>(rows.data()));
    case KvType::kQ8_0:
      break;
  }
  RowsToBlocks(rows.data(), lane, count, dim, KeyBlock<KeyBlockQ8_0>(layer, head, token));
}

// Calls visit(token, tokens) for the parts of [first, first + count) in each 16-token block.
template <typename Visit>
void ForEachKeyBlock(int first, int count, const Visit& visit) {
  const int end = first + count;
  for (int at = first; at < end;) {
    const int next = std::min(end, (at / kLanes + 1) * kLanes);
    visit(at, next - at);
    at = next;
  }
}

// Quantised as activations are: amax / 127, to nearest even.
void QuantizeRow(const KernelTable& kernels, const float* x, int dim, uint8_t* row) {
  kernels::OperandBlock blocks[kHeadDimMax / kBlock];
  kernels.prepare_int8(x, dim, 1, 0, reinterpret_cast<uint8_t*>(blocks));
  for (int b = 0; b < dim / kBlock; ++b, row += sizeof(BlockQ8_0)) {
    const Half d = kernels::ToHalf(blocks[b].scale);
    std::memcpy(row, &d, sizeof(d));
    std::memcpy(row + sizeof(d), blocks[b].q, sizeof(blocks[b].q));
  }
}

void DequantizeRow(const uint8_t* row, int dim, float* x) {
  for (int b = 0; b < dim / kBlock; ++b, row += sizeof(BlockQ8_0)) {
    BlockQ8_0 block;
    std::memcpy(&block, row, sizeof(block));
    const float scale = kernels::FromHalf(block.d);
    for (int i = 0; i < kBlock; ++i) *x++ = scale * static_cast<float>(block.q[i]);
  }
}

void FloatsToRow(const KernelTable& kernels, const float* x, int dim, KvType type, uint8_t* row) {
  switch (type) {
    case KvType::kF32:
      std::memcpy(row, x, static_cast<size_t>(dim) * sizeof(float));
      return;
    case KvType::kF16:
      return kernels.to_half(x, dim, reinterpret_cast<Half*>(row));
    case KvType::kQ8_0:
      break;
  }
  QuantizeRow(kernels, x, dim, row);
}

// From the pages' type to `type`, which are the same or F16 and Q8_0; `into` may lie anywhere.
void ExportRow(const KernelTable& kernels, const uint8_t* row, const KvLayout& layout, KvType type,
               uint8_t* into) {
  const int dim = layout.shape.head_dim;
  if (layout.type == type) {
    std::memcpy(into, row, KvBytesOf(type, dim));
    return;
  }
  float x[kHeadDimMax];
  kernels.from_half(reinterpret_cast<const Half*>(row), dim, x);
  QuantizeRow(kernels, x, dim, into);
}

void ImportRow(const KernelTable& kernels, const uint8_t* wire, const KvLayout& layout, KvType type,
               uint8_t* row) {
  const int dim = layout.shape.head_dim;
  if (layout.type == type) {
    std::memcpy(row, wire, KvBytesOf(type, dim));
    return;
  }
  float x[kHeadDimMax];
  DequantizeRow(wire, dim, x);
  kernels.to_half(x, dim, reinterpret_cast<Half*>(row));
}

// One head's keys and values of a slab on the wire.
template <typename Byte>
struct WireHead {
  Byte* keys;
  Byte* values;
};

template <typename Byte>
WireHead<Byte> HeadOf(std::span<Byte> wire, const KvLayout& layout, int head, size_t head_bytes) {
  Byte* keys = wire.data() + head * head_bytes;
  return {keys, keys + layout.shape.kv_heads * head_bytes};
}

// Bytes of one of K and V for `count` tokens of one head.
size_t HeadBytes(const KvLayout& layout, int count, KvType type, size_t wire_bytes) {
  CHECK(TravelsAs(layout.type, type), "pages of {} as {}", NameOf(layout.type), NameOf(type));
  const size_t bytes = count * KvBytesOf(type, layout.shape.head_dim);
  CHECK(wire_bytes == layout.shape.halves() * layout.shape.kv_heads * bytes, "{} bytes",
        wire_bytes);
  return bytes;
}

// make(i, row) writes the key of token first + i as the pages' type.
template <typename Make>
void StoreMadeKeys(const KvLayer& layer, int head, int first, size_t tokens, const Make& make) {
  const size_t row_bytes = KvBytesOf(layer.layout.type, layer.layout.shape.head_dim);
  ForEachKeyBlock(first, static_cast<int>(tokens), [&](int token, int count) {
    alignas(64) SomeRows some;
    for (int t = 0; t < count; ++t) make(token - first + t, some.data() + t * row_bytes);
    SaveKeys(layer, head, token, count, some);
  });
}

}  // namespace

void StoreKeys(const KernelTable& kernels, const KvLayer& layer, int head, int first, Rows rows) {
  const int dim = layer.layout.shape.head_dim;
  const float* source = rows.host() + static_cast<size_t>(head) * dim;
  StoreMadeKeys(layer, head, first, rows.count, [&](int i, uint8_t* row) {
    FloatsToRow(kernels, source + i * rows.width, dim, layer.layout.type, row);
  });
}

void StoreLatents(const KernelTable& kernels, const KvLayer& layer, int first, Rows latents,
                  Rows rest) {
  const KvType type = layer.layout.type;
  const size_t latent_bytes = KvBytesOf(type, latents.width);
  StoreMadeKeys(layer, 0, first, latents.count, [&](int i, uint8_t* row) {
    FloatsToRow(kernels, latents.host() + i * latents.width, static_cast<int>(latents.width), type,
                row);
    FloatsToRow(kernels, rest.host() + i * rest.width, static_cast<int>(rest.width), type,
                row + latent_bytes);
  });
}

void StoreValues(const KernelTable& kernels, const KvLayer& layer, int head, int first, Rows rows) {
  const int dim = layer.layout.shape.head_dim;
  const float* source = rows.host() + static_cast<size_t>(head) * dim;
  for (size_t t = 0; t < rows.count; ++t) {
    FloatsToRow(kernels, source + t * rows.width, dim, layer.layout.type,
                ValueRow(layer, head, first + static_cast<int>(t)));
  }
}

void StoreKeyRows(const KvLayer& layer, int head, int first, std::span<const uint8_t> rows) {
  const size_t row_bytes = KvBytesOf(layer.layout.type, layer.layout.shape.head_dim);
  StoreMadeKeys(layer, head, first, rows.size() / row_bytes, [&](int i, uint8_t* row) {
    std::memcpy(row, rows.data() + i * row_bytes, row_bytes);
  });
}

void StoreValueRows(const KvLayer& layer, int head, int first, std::span<const uint8_t> rows) {
  const size_t row_bytes = KvBytesOf(layer.layout.type, layer.layout.shape.head_dim);
  for (size_t t = 0; t < rows.size() / row_bytes; ++t) {
    std::memcpy(ValueRow(layer, head, first + static_cast<int>(t)), rows.data() + t * row_bytes,
                row_bytes);
  }
}

void LoadKeyRows(const KvLayer& layer, int head, int first, std::span<uint8_t> rows) {
  const size_t row_bytes = KvBytesOf(layer.layout.type, layer.layout.shape.head_dim);
  ForEachKeyBlock(first, static_cast<int>(rows.size() / row_bytes), [&](int token, int count) {
    alignas(64) SomeRows some;
    LoadKeys(layer, head, token, count, some);
    std::memcpy(rows.data() + (token - first) * row_bytes, some.data(), count * row_bytes);
  });
}

void ClearKeyElements(const KvLayout& layout, int head, int elements, std::span<uint8_t> frame) {
  const size_t whole =
      layout.type == KvType::kQ8_0 ? (elements + kBlock - 1) / kBlock * kBlock : elements;
  const size_t block_bytes = KvBytesOf(layout.type, layout.width() * kLanes);
  uint8_t* keys = frame.data() + head * layout.head_bytes();
  const size_t bytes = KvBytesOf(layout.type, whole * kLanes);
  for (int block = 0; block < kPageTokens / kLanes; ++block, keys += block_bytes) {
    // Where nobody wrote, there is no memory yet, and reading takes none.
    const bool written = std::any_of(keys, keys + bytes, [](uint8_t byte) { return byte != 0; });
    if (written) std::memset(keys, 0, bytes);
  }
}

void ExportSlab(const KernelTable& kernels, const KvLayer& layer, int first, int count, KvType type,
                std::span<uint8_t> into) {
  const KvLayout& layout = layer.layout;
  const size_t head_bytes = HeadBytes(layout, count, type, into.size());
  const size_t row_bytes = KvBytesOf(layout.type, layout.shape.head_dim);
  const size_t wire_bytes = KvBytesOf(type, layout.shape.head_dim);
  for (int head = 0; head < layout.shape.kv_heads; ++head) {
    const WireHead<uint8_t> wire = HeadOf(into, layout, head, head_bytes);
    ForEachKeyBlock(first, count, [&](int token, int tokens) {
      alignas(64) SomeRows rows;
      LoadKeys(layer, head, token, tokens, rows);
      for (int t = 0; t < tokens; ++t) {
        ExportRow(kernels, rows.data() + t * row_bytes, layout, type,
                  wire.keys + (token - first + t) * wire_bytes);
      }
    });
    if (layout.shape.latent > 0) continue;
    for (int t = 0; t < count; ++t) {
      ExportRow(kernels, ValueRow(layer, head, first + t), layout, type,
                wire.values + t * wire_bytes);
    }
  }
}

void ImportSlab(const KernelTable& kernels, const KvLayer& layer, int first, int count, KvType type,
                std::span<const uint8_t> wire) {
  const KvLayout& layout = layer.layout;
  const size_t head_bytes = HeadBytes(layout, count, type, wire.size());
  const size_t row_bytes = KvBytesOf(layout.type, layout.shape.head_dim);
  const size_t wire_bytes = KvBytesOf(type, layout.shape.head_dim);
  for (int head = 0; head < layout.shape.kv_heads; ++head) {
    const WireHead<const uint8_t> from = HeadOf(wire, layout, head, head_bytes);
    ForEachKeyBlock(first, count, [&](int token, int tokens) {
      alignas(64) SomeRows rows;
      for (int t = 0; t < tokens; ++t) {
        ImportRow(kernels, from.keys + (token - first + t) * wire_bytes, layout, type,
                  rows.data() + t * row_bytes);
      }
      SaveKeys(layer, head, token, tokens, rows);
    });
    if (layout.shape.latent > 0) continue;
    for (int t = 0; t < count; ++t) {
      ImportRow(kernels, from.values + t * wire_bytes, layout, type,
                ValueRow(layer, head, first + t));
    }
  }
}

}  // namespace baton::device
