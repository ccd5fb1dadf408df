#include "device/cpu/kv_layout.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "kernels/half.h"
#include "tensor/blocks.h"

namespace baton::device {
namespace {

constexpr int kLanes = 16;  // tokens of a key block

// The F16 elements of one KV head in the page that holds a token.
struct HeadInPage {
  Half* keys;
  Half* values;
};

HeadInPage Locate(const KvLayer& layer, int head, int token) {
  uint8_t* bytes = layer.storage->host() +
                   static_cast<size_t>(layer.pages[token / kPageTokens]) * layer.page_bytes +
                   layer.layer_offset;
  const size_t head_elements = size_t{kPageTokens} * layer.shape.width();
  auto* keys = reinterpret_cast<Half*>(bytes) + head * head_elements;
  auto* values = reinterpret_cast<Half*>(bytes + layer.shape.half_bytes()) + head * head_elements;
  return {keys, values};
}

// Element d of a token lies at d * kLanes from here.
Half* KeyColumn(const KvLayer& layer, int head, int token) {
  const int at = token % kPageTokens;
  return Locate(layer, head, token).keys + at / kLanes * layer.shape.width() * kLanes + at % kLanes;
}

Half* ValueRow(const KvLayer& layer, int head, int token) {
  return Locate(layer, head, token).values + token % kPageTokens * layer.shape.width();
}

// Copies between `count` <= 16 columns (stride kLanes) and rows (stride `dim`), in squares of 16 so
// that both sides stay in L1.
void ColumnsToRows(const Half* columns, int count, int dim, Half* rows) {
  for (int begin = 0; begin < dim; begin += kLanes) {
    const int end = std::min(dim, begin + kLanes);
    for (int t = 0; t < count; ++t) {
      for (int d = begin; d < end; ++d) rows[t * dim + d] = columns[d * kLanes + t];
    }
  }
}

void RowsToColumns(const Half* rows, int count, int dim, Half* columns) {
  for (int begin = 0; begin < dim; begin += kLanes) {
    const int end = std::min(dim, begin + kLanes);
    for (int d = begin; d < end; ++d) {
      for (int t = 0; t < count; ++t) columns[d * kLanes + t] = rows[t * dim + d];
    }
  }
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

// One wire row of halfs <-> bytes. Quantised as activations are: amax / 127, to nearest even.
void EncodeRow(const kernels::KernelTable& kernels, const Half* row, int dim, uint8_t* wire) {
  float x[kHeadDimMax];
  kernels::OperandBlock blocks[kHeadDimMax / 32];
  kernels.from_half(row, dim, x);
  kernels.prepare_int8(x, dim, 1, 0, reinterpret_cast<uint8_t*>(blocks));
  for (int b = 0; b < dim / 32; ++b, wire += sizeof(BlockQ8_0)) {
    const Half d = kernels::ToHalf(blocks[b].scale);
    std::memcpy(wire, &d, sizeof(d));
    std::memcpy(wire + sizeof(d), blocks[b].q, sizeof(blocks[b].q));
  }
}

void DecodeRow(const kernels::KernelTable& kernels, const uint8_t* wire, int dim, Half* row) {
  float x[kHeadDimMax];
  for (int b = 0; b < dim / 32; ++b) {
    BlockQ8_0 block;
    std::memcpy(&block, wire + b * sizeof(block), sizeof(block));
    const float scale = kernels::FromHalf(block.d);
    for (int i = 0; i < 32; ++i) x[b * 32 + i] = scale * static_cast<float>(block.q[i]);
  }
  kernels.to_half(x, dim, row);
}

size_t WireRowBytes(int dim, KvWireType type) {
  return type == KvWireType::kF16 ? dim * sizeof(Half) : dim / 32 * sizeof(BlockQ8_0);
}

// Rows of halfs to the wire and back.
void Encode(const kernels::KernelTable& kernels, const Half* rows, int count, int dim,
            KvWireType type, uint8_t* wire) {
  if (type == KvWireType::kF16) {
    std::memcpy(wire, rows, static_cast<size_t>(count) * dim * sizeof(Half));
    return;
  }
  for (int t = 0; t < count; ++t) {
    EncodeRow(kernels, rows + t * dim, dim, wire + t * WireRowBytes(dim, type));
  }
}

void Decode(const kernels::KernelTable& kernels, const uint8_t* wire, int count, int dim,
            KvWireType type, Half* rows) {
  if (type == KvWireType::kF16) {
    std::memcpy(rows, wire, static_cast<size_t>(count) * dim * sizeof(Half));
    return;
  }
  for (int t = 0; t < count; ++t) {
    DecodeRow(kernels, wire + t * WireRowBytes(dim, type), dim, rows + t * dim);
  }
}

using Square = std::array<Half, kLanes * kHeadDimMax>;

}  // namespace

size_t WireHeadBytes(const KvShape& shape, int count, KvWireType type) {
  return count * WireRowBytes(shape.head_dim, type);
}

void StoreKeys(const kernels::KernelTable& kernels, const KvLayer& layer, int head, int first,
               Rows rows) {
  const int dim = layer.shape.head_dim;
  const float* source = rows.host() + static_cast<size_t>(head) * dim;
  ForEachKeyBlock(first, static_cast<int>(rows.count), [&](int token, int count) {
    Square halfs;
    for (int t = 0; t < count; ++t) {
      kernels.to_half(source + (token - first + t) * rows.width, dim, halfs.data() + t * dim);
    }
    RowsToColumns(halfs.data(), count, dim, KeyColumn(layer, head, token));
  });
}

void StoreValues(const kernels::KernelTable& kernels, const KvLayer& layer, int head, int first,
                 Rows rows) {
  const int dim = layer.shape.head_dim;
  const float* source = rows.host() + static_cast<size_t>(head) * dim;
  for (size_t t = 0; t < rows.count; ++t) {
    kernels.to_half(source + t * rows.width, dim,
                    ValueRow(layer, head, first + static_cast<int>(t)));
  }
}

void ExportSlab(const kernels::KernelTable& kernels, const KvLayer& layer, int first, int count,
                KvWireType type, std::span<uint8_t> into) {
  const int dim = layer.shape.head_dim;
  const size_t head_bytes = WireHeadBytes(layer.shape, count, type);
  CHECK(into.size() == 2 * layer.shape.kv_heads * head_bytes, "{} bytes", into.size());
  for (int head = 0; head < layer.shape.kv_heads; ++head) {
    uint8_t* keys = into.data() + head * head_bytes;
    uint8_t* values = keys + layer.shape.kv_heads * head_bytes;
    ForEachKeyBlock(first, count, [&](int token, int tokens) {
      Square rows;
      ColumnsToRows(KeyColumn(layer, head, token), tokens, dim, rows.data());
      Encode(kernels, rows.data(), tokens, dim, type,
             keys + WireHeadBytes(layer.shape, token - first, type));
    });
    for (int t = 0; t < count; ++t) {
      Encode(kernels, ValueRow(layer, head, first + t), 1, dim, type,
             values + WireHeadBytes(layer.shape, t, type));
    }
  }
}

void ImportSlab(const kernels::KernelTable& kernels, const KvLayer& layer, int first, int count,
                KvWireType type, std::span<const uint8_t> wire) {
  const int dim = layer.shape.head_dim;
  const size_t head_bytes = WireHeadBytes(layer.shape, count, type);
  CHECK(wire.size() == 2 * layer.shape.kv_heads * head_bytes, "{} bytes", wire.size());
  for (int head = 0; head < layer.shape.kv_heads; ++head) {
    const uint8_t* keys = wire.data() + head * head_bytes;
    const uint8_t* values = keys + layer.shape.kv_heads * head_bytes;
    ForEachKeyBlock(first, count, [&](int token, int tokens) {
      Square rows;
      Decode(kernels, keys + WireHeadBytes(layer.shape, token - first, type), tokens, dim, type,
             rows.data());
      RowsToColumns(rows.data(), tokens, dim, KeyColumn(layer, head, token));
    });
    for (int t = 0; t < count; ++t) {
      Decode(kernels, values + WireHeadBytes(layer.shape, t, type), 1, dim, type,
             ValueRow(layer, head, first + t));
    }
  }
}

}  // namespace baton::device
