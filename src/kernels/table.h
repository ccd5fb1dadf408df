// KernelTable: the arithmetic of one instruction set as a table of functions over raw pointers.
//
// Same tokens, by construction: every output element is computed by one canonical order of
// floating-point operations that depends neither on the batch, nor on threads, nor on the
// instruction set. kernels/reference spells that order out in scalar code; every other table gives
// the same bits, and table_test.cc asserts it. (One exception is stated at PeakProbes.)
//
//   matrix product    per output row, K in order. Eight-bit weights, per 32: acc = fma(float(exact
//                     dot of integers), d * x.scale, acc); then, for types with minima, acc =
//                     fma(minimum, x.scale * sum of x.q, acc). Fewer bits, per 256 or what is left:
//                     from 0, per sub-block, part = fma(float(exact dot), d or the exact d *
//                     sub-scale, part), and after those of 32 weights, for types with minima, part
//                     = fma(minimum, sum of x.q, part) per sub-block; then acc = fma(part, x.scale,
//                     acc). Where kScalesAreSmall, part = float(exact sum of sub-scale * dot) * d;
//                     then, for the type with minima, part = fma(float(exact sum of minimum * sum
//                     of x.q), -dmin, part). F32: acc = fma(w, x, acc). BF16, F16: the same with w
//                     and x rounded to BF16, K in the order 1, 0, 3, 2, 5, 4, ... (as the
//                     processors' own BF16 dot products), factors below 2^-50 zero (half.h)
//   sums over a row   16 partial sums, lane i takes elements i, i + 16, ...; then halves: lane i +=
//                     lane i + 8, + 4, + 2, + 1
//   attention         scores sequential over head dim; online softmax over blocks of 64 keys whose
//                     boundaries are absolute positions, blocks without a key in sight left out;
//                     values sequential over keys; a sink comes last. A soft cap is
//                     cap * (1 - 2 / (exp(score * (2 / cap)) + 1))
//   attend_brain      the same with queries * log2(e), keys, weights and values rounded to BF16 and
//                     products in pairs, the second first, over head dim and over keys; the softmax
//                     is of powers of two. Its total adds the rounded weights, 16 partial sums. It
//                     runs over segments of 512 keys apart, which are merged in order. Of Q8_0,
//                     keys and values are scale * q, which is exact, before they are rounded
//   latent attention  both, where the values are the first elements of the keys
//
// Nothing here allocates, locks or fails: callers check shapes. All functions may be called from
// any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tensor/blocks.h"
#include "tensor/dtype.h"
#include "tensor/kv_type.h"

namespace baton::kernels {

// Output rows that share a panel: SIMD lanes are output rows.
inline constexpr size_t kPanelRows = 16;
// Tokens of a key block in attention and of a page.
inline constexpr size_t kKeyBlock = 64;
// Tokens that products of blocks take at once, each panel prepared for all of them: whole tiles of
// every table, whose operands stay in L2.
inline constexpr size_t kTokensPerPass = 144;
// Rows of one AttentionTile, at most.
inline constexpr size_t kAttentionRowsMax = 48;

// 32 activations in the form that integer products read: x = scale * q. One cache line.
struct alignas(64) OperandBlock {
  int8_t q[32];
  float scale;
  float sum;            // of q; times scale in OperandKind::kInt8
  int32_t offset8;      // -8 * sum of q: where 4-bit products begin; twice for 5-bit ones
  int32_t offset128;    // -128 * sum of q: likewise for 8-bit weights and codebooks
  int32_t offset32[2];  // -32 * sums of the two halves: 6-bit; an eighth for 3-bit ones
  int32_t pairs;        // where products of sums begin, 0 in tables without (sums.h)
  int32_t pairs8;       // the same + offset8
};
static_assert(sizeof(OperandBlock) == 64);

// How a weight type wants its activations. In integers, each 32 have a scale, or each 256 (the last
// of a row: what is left).
enum class OperandKind : uint8_t { kFloat, kBrain, kInt8, kSuperInt8 };
inline constexpr size_t kOperandKinds = 4;
// The largest q of a kind. Weights of up to five bits can be added to the smaller one in a byte,
// which is what products of sums do.
constexpr float LargestInteger(OperandKind kind) {
  return kind == OperandKind::kSuperInt8 ? 112.0f : 127.0f;
}
constexpr bool IsIntegers(OperandKind kind) {
  return kind == OperandKind::kInt8 || kind == OperandKind::kSuperInt8;
}

// Of quantised weights. Those of eight bits are there for being exact.
template <typename Block>
inline constexpr OperandKind kOperandOf = sizeof(Block) < Block::kElements ? OperandKind::kSuperInt8
                                                                           : OperandKind::kInt8;

// Weights whose integer times its sub-block's scale, an integer too, fits a byte: products of 256
// are added before anything is rounded.
template <typename Block>
inline constexpr bool kScalesAreSmall =
    std::is_same_v<Block, BlockQ2_K> || std::is_same_v<Block, BlockQ3_K>;

// Activations are regrouped into tiles of KernelTable::tile_tokens tokens (the last may hold
// fewer). A tile of T tokens is [k][T] floats, [k / 2][T] pairs of BF16 (zero where the number of
// columns is odd), or [k / 32][T] OperandBlocks.
inline size_t OperandBytes(OperandKind kind, size_t columns) {
  switch (kind) {
    case OperandKind::kFloat:
      return columns * sizeof(float);
    case OperandKind::kBrain:
      return (columns + 1) / 2 * sizeof(uint32_t);
    case OperandKind::kInt8:
    case OperandKind::kSuperInt8:
      break;
  }
  return columns / 32 * sizeof(OperandBlock);
}

// y[token][row] = x . w[row] for consecutive panels and all tokens.
struct MatrixProduct {
  const uint8_t* panels;
  size_t columns;
  size_t rows;  // beginning with the first panel's; the last panel may be partly used
  const uint8_t* operands;
  size_t tokens;
  float* into;         // element (t, r) at into[t * into_stride + r]
  size_t into_stride;  // floats
  const float* bias;   // [rows], or null
  bool accumulate;     // add to what `into` holds
};

struct MatrixKernels {
  OperandKind operand;
  size_t (*panel_bytes)(size_t columns);
  // `count` <= 16 rows of blocks as tensor/blocks.h has them; absent rows become zero.
  void (*pack)(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
  // Row `row` of a panel as floats, as the format publishes them: the exact scale * integer, plus
  // the minimum where there is one, rounded once. F16 as products read it, rounded to BF16.
  void (*unpack_row)(const uint8_t* panel, size_t row, size_t columns, float* into);
  void (*multiply)(const MatrixProduct& product);
};

// Elements between rows of a KV head in a page: head_dim rounded up to whole vectors.
constexpr size_t KvWidth(size_t head_dim) {
  return (head_dim + 15) / 16 * 16;
}

// Keys of 16 tokens, 32 elements of head dim, in a page of Q8_0: lanes are tokens.
struct KeyBlockQ8_0 {
  Half d[16];
  int8_t q[32][16];
};
static_assert(sizeof(KeyBlockQ8_0) == 16 * sizeof(BlockQ8_0));

// attend_brain attends to segments of so many keys apart and merges them in order, so that one
// token's attention to a long context can be spread over threads.
inline constexpr size_t kSegmentKeys = 512;
// Rows of one tile of attend_brain, at most: each block of keys is converted once for all of them.
inline constexpr size_t kBrainRowsMax = 96;
inline constexpr size_t kBrainRowGroupMax = 8;
inline constexpr size_t kBrainPairBytesMax = 128;

// Queries of consecutive tokens that share one KV head: rows = tokens * group.
struct AttentionTile {
  const float* q;  // query (t, g) at q[t * stride + g * head_dim], already scaled
  float* into;     // the same shape, with heads of ValueDim()
  size_t stride;   // floats
  size_t group;    // query heads per KV head
  size_t head_dim;
  size_t first;   // position of the first token
  size_t tokens;  // tokens * group <= kAttentionRowsMax, or kBrainRowsMax
  // Of page 0 at this layer and KV head, with width = KvWidth(): F32 or F16 [4][width][16], or
  // KeyBlockQ8_0 [4][width / 32]; and F32 or F16 [64][width], or BlockQ8_0 [64][width / 32]. Floats
  // are zero from head_dim on; heads of Q8_0 are whole blocks.
  const uint8_t* keys;
  const uint8_t* values;
  const int32_t* pages;  // page of key block i
  size_t page_bytes;
  float* scratch;  // AttentionScratchFloats(), or BrainScratchFloats(); 64-byte aligned
  KvType kv_type = KvType::kF16;  // attend() takes F32 and F16, attend_brain() F16 and Q8_0
  size_t window = 0;              // a token sees so many, itself the last of them; 0: all before it
  float softcap = 0;              // scores s become softcap * tanh(s / softcap); 0: they stay
  const float* sinks = nullptr;   // [group] scores that take weight and have no value, or null
  size_t latent = 0;  // where not 0: values are the first so many elements of keys; no `values`
};
constexpr size_t ValueDim(size_t head_dim, size_t latent) {
  return latent == 0 ? head_dim : latent;
}
// Values of one block of keys, brought from the keys' layout into rows.
inline size_t LatentScratchFloats(size_t head_dim) {
  return kKeyBlock * KvWidth(head_dim) * sizeof(Half) / sizeof(float);
}
inline size_t AttentionScratchFloats(size_t head_dim) {
  return kKeyBlock * KvWidth(head_dim) + kAttentionRowsMax * (kKeyBlock + KvWidth(head_dim) + 2);
}
// Converted keys and values, weights and scores of some rows, queries, and two states of all rows.
inline size_t BrainScratchFloats(size_t head_dim) {
  const size_t width = KvWidth(head_dim);
  const size_t operands = 2 * kKeyBlock / 16 * (width / 2) * (kBrainPairBytesMax / sizeof(float));
  const size_t some_rows = kBrainRowGroupMax * 2 * kKeyBlock;
  return LatentScratchFloats(head_dim) + operands + some_rows +
         kBrainRowsMax * (width + 2 * (width + 16 + 1)) + 10 * 16;
}
// Floats per row of what attend_segment writes: sums, maximum, total.
inline size_t PartialFloats(size_t value_dim) {
  return KvWidth(value_dim) + 2;
}

// What the machine can do at best, for `baton bench --limits` and as the yardstick of every kernel.
// Returned values keep the compiler honest; they mean nothing and differ between tables.
struct PeakProbes {
  size_t int8_ops_per_iteration;  // multiplications and additions
  size_t float_ops_per_iteration;
  size_t brain_ops_per_iteration;
  int64_t (*int8)(size_t iterations);
  float (*fused)(size_t iterations);
  float (*brain)(size_t iterations);
  uint64_t (*read)(const uint8_t* bytes, size_t count);  // count a multiple of 512
};

struct KernelTable {
  const char* name;    // "avx512"
  size_t tile_tokens;  // tokens of an operand tile

  MatrixKernels f32, f16, bf16, q8_0, q4_0, q4_k, q6_k;
  MatrixKernels q4_1, q5_0, q5_1, q2_k, q3_k, q5_k, iq4_nl, iq4_xs, mxfp4;
  MatrixKernels mlx4, mlx8, mlx8_half;

  // One row of `columns` activations becomes token `at` of a tile of `tile` tokens at `into`.
  // int8: round to nearest even of x * LargestInteger() / amax per 32, or per 256 (super); where
  // |x| < 1e-30 in all of them, zero; where one is an infinity or a NaN, the scale is NaN.
  void (*prepare_int8)(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into);
  void (*prepare_super_int8)(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into);
  void (*prepare_float)(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into);
  void (*prepare_brain)(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into);

  // into = (x * (1 / sqrt(mean(x^2) + epsilon))) * weight.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, size_t n, float* into);
  // into = (gate / (1 + exp(-gate))) * up. Here and below `into` may be the first operand.
  void (*silu_multiply)(const float* gate, const float* up, size_t n, float* into);
  // GELU by its approximation with tanh: into = (gate / (1 + exp(-2 u))) * up, where
  // u = sqrt(2 / pi) * (gate + 0.044715 gate^3).
  void (*gelu_multiply)(const float* gate, const float* up, size_t n, float* into);
  // gpt-oss: with g = min(gate, 7) and u = clamp(up, -7, 7),
  // into = (g / (1 + exp(-1.702 g))) * (u + 1).
  void (*clamped_swiglu)(const float* gate, const float* up, size_t n, float* into);
  // x = cap * tanh(x / cap), as attention's soft cap.
  void (*soft_cap)(float* x, float cap, size_t n);
  // into = fma(x, scale, into).
  void (*add_scaled)(const float* x, float scale, size_t n, float* into);
  // Turns pairs (first + 2i, first + 2i + 1), i < pairs, of each head by cos_sin[i]; multiplies all
  // by `scale`.
  void (*rope)(float* row, const float* cos_sin, size_t first, size_t pairs, size_t head_dim,
               size_t heads, float scale);
  void (*attend)(const AttentionTile& tile);
  void (*attend_brain)(const AttentionTile& tile);
  // The same in pieces: segment `segment` of every row's keys to partial[row][PartialFloats()];
  // then, from segment s at partials + s * partial_stride floats, which are overwritten, the end.
  void (*attend_segment)(const AttentionTile& tile, size_t segment, float* partial);
  void (*merge_segments)(const AttentionTile& tile, float* partials, size_t partial_stride);
  // IEEE round to nearest even; and the exact way back.
  void (*to_half)(const float* x, size_t n, uint16_t* into);
  void (*from_half)(const uint16_t* x, size_t n, float* into);

  PeakProbes peaks;
};

inline auto PrepareOf(const KernelTable& table, OperandKind kind) {
  switch (kind) {
    case OperandKind::kFloat:
      return table.prepare_float;
    case OperandKind::kBrain:
      return table.prepare_brain;
    case OperandKind::kSuperInt8:
      return table.prepare_super_int8;
    case OperandKind::kInt8:
      break;
  }
  return table.prepare_int8;
}

// The kernels of one weight type, nullptr if it is not a weight type.
inline const MatrixKernels* MatrixKernelsOf(const KernelTable& table, DType type) {
  switch (type) {
    case DType::kF32:
      return &table.f32;
    case DType::kF16:
      return &table.f16;
    case DType::kBF16:
      return &table.bf16;
    case DType::kQ8_0:
      return &table.q8_0;
    case DType::kQ4_0:
      return &table.q4_0;
    case DType::kQ4_K:
      return &table.q4_k;
    case DType::kQ6_K:
      return &table.q6_k;
    case DType::kQ4_1:
      return &table.q4_1;
    case DType::kQ5_0:
      return &table.q5_0;
    case DType::kQ5_1:
      return &table.q5_1;
    case DType::kQ2_K:
      return &table.q2_k;
    case DType::kQ3_K:
      return &table.q3_k;
    case DType::kQ5_K:
      return &table.q5_k;
    case DType::kIQ4_NL:
      return &table.iq4_nl;
    case DType::kIQ4_XS:
      return &table.iq4_xs;
    case DType::kMXFP4:
      return &table.mxfp4;
    case DType::kMlx4:
      return &table.mlx4;
    case DType::kMlx8:
      return &table.mlx8;
    case DType::kMlx8Half:
      return &table.mlx8_half;
    default:
      return nullptr;
  }
}

}  // namespace baton::kernels
