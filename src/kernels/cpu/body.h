// The kernels of every CPU instruction set, written once over the sixteen lanes of vec.h and the
// integer dot products of quant.h. Included by table.cc alone, inside its anonymous namespace,
// after those two. Because each lane follows the order that kernels/table.h fixes, all sets give
// the same bits.

#include "kernels/cpu/products.h"

// ---- activations ----

// x = scale * q, for some activations together.
struct Quantization {
  float scale;
  float inverse;  // 0: q is zero
};

// `largest`: the bits of the largest magnitude.
template <OperandKind kKind>
inline Quantization QuantizationOf(uint32_t largest) {
  constexpr float kLargest = LargestInteger(kKind);
  float amax;
  __builtin_memcpy(&amax, &largest, sizeof(amax));
  if (amax < 1e-30f) return {0, 0};
  if (largest >= 0x7f800000u) return {__builtin_nanf(""), 0};
  return {amax / kLargest, kLargest / amax};
}

// (Block is a parameter because SetPairs() is only there where products of sums are.)
template <OperandKind kKind, typename Block = OperandBlock>
inline Block Quantize(const float* x, const Quantization& by) {
  Block block{};
  block.scale = by.scale;
  const bool zero = by.inverse == 0;
  const int32_t first = zero ? 0 : Quantize16(x, by.inverse, block.q);
  const int32_t second = zero ? 0 : Quantize16(x + 16, by.inverse, block.q + 16);
  const int32_t sum = first + second;
  block.sum = static_cast<float>(sum);
  if constexpr (kKind == OperandKind::kInt8) block.sum *= by.scale;
  block.offset8 = -8 * sum;
  block.offset128 = -128 * sum;
  block.offset32[0] = -32 * first;
  block.offset32[1] = -32 * second;
  if constexpr (kKind == OperandKind::kSuperInt8 && kPanelsOfSums > 0) SetPairs(block);
  return block;
}

void PrepareInt8(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  auto* blocks = reinterpret_cast<OperandBlock*>(into) + at;
  for (size_t b = 0; b < columns / 32; ++b, x += 32) {
    const Quantization by = QuantizationOf<OperandKind::kInt8>(LargestMagnitude32(x));
    blocks[b * tile] = Quantize<OperandKind::kInt8>(x, by);
  }
}

void PrepareSuperInt8(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  auto* blocks = reinterpret_cast<OperandBlock*>(into) + at;
  for (size_t k = 0; k < columns; k += panel::kBandColumns) {
    const size_t count = panel::BandBlocks(k, columns);
    uint32_t largest = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t of_block = LargestMagnitude32(x + i * 32);
      if (of_block > largest) largest = of_block;
    }
    const Quantization by = QuantizationOf<OperandKind::kSuperInt8>(largest);
    for (size_t i = 0; i < count; ++i, x += 32)
      blocks[(k / 32 + i) * tile] = Quantize<OperandKind::kSuperInt8>(x, by);
  }
}

void PrepareFloat(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  auto* floats = reinterpret_cast<float*>(into) + at;
  for (size_t k = 0; k < columns; ++k) floats[k * tile] = x[k];
}

void PrepareBrain(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  auto* pairs = reinterpret_cast<uint32_t*>(into) + at;
  for (size_t k = 0; k < columns; k += 16) {
    const size_t count = columns - k < 16 ? columns - k : 16;
    uint32_t converted[8];
    StoreBrainFactors(Load(x + k, FirstLanes(count)), converted);
    for (size_t i = 0; i < (count + 1) / 2; ++i) pairs[(k / 2 + i) * tile] = converted[i];
  }
}

// ---- row operations ----

inline Mask LanesFrom(size_t i, size_t n) {
  return FirstLanes(n - i);
}

void RmsNorm(const float* x, const float* weight, float epsilon, size_t n, float* into) {
  F32x16 squares = Zero();
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 lanes = Load(x + i, LanesFrom(i, n));
    squares = Fma(lanes, lanes, squares);
  }
  const float mean = Sum(squares) / static_cast<float>(n);
  const F32x16 inverse = Broadcast(1.0f / __builtin_sqrtf(mean + epsilon));
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 scaled = Times(Load(x + i, mask), inverse);
    Store(Times(scaled, Load(weight + i, mask)), into + i, mask);
  }
}

// As kernels/reference: 2^n p(r), NaN stays NaN.
inline F32x16 Exp(F32x16 x) {
  x = Min(Broadcast(88.0f), Max(Broadcast(-87.0f), x));
  const F32x16 n = Round(Times(x, Broadcast(1.44269504f)));
  const F32x16 r = Fma(n, Broadcast(2.12194440e-4f), Fma(n, Broadcast(-0.693359375f), x));
  F32x16 p = Broadcast(1.0f / 5040);
  p = Fma(p, r, Broadcast(1.0f / 720));
  p = Fma(p, r, Broadcast(1.0f / 120));
  p = Fma(p, r, Broadcast(1.0f / 24));
  p = Fma(p, r, Broadcast(1.0f / 6));
  p = Fma(p, r, Broadcast(0.5f));
  p = Fma(p, r, Broadcast(1.0f));
  p = Fma(p, r, Broadcast(1.0f));
  return Times(p, PowerOfTwo(n));
}

void SiluMultiply(const float* gate, const float* up, size_t n, float* into) {
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 x = Load(gate + i, mask);
    const F32x16 silu = Divide(x, Add(Broadcast(1.0f), Exp(Negate(x))));
    Store(Times(silu, Load(up + i, mask)), into + i, mask);
  }
}

void GeluMultiply(const float* gate, const float* up, size_t n, float* into) {
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 x = Load(gate + i, mask);
    const F32x16 bent = Fma(Times(x, x), Times(x, Broadcast(0.044715f)), x);
    const F32x16 power = Exp(Times(bent, Broadcast(-1.59576912f)));
    const F32x16 gelu = Divide(x, Add(Broadcast(1.0f), power));
    Store(Times(gelu, Load(up + i, mask)), into + i, mask);
  }
}

void ClampedSwiglu(const float* gate, const float* up, size_t n, float* into) {
  const F32x16 limit = Broadcast(7.0f);
  const F32x16 one = Broadcast(1.0f);
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 g = Min(limit, Load(gate + i, mask));
    const F32x16 u = Max(Broadcast(-7.0f), Min(limit, Load(up + i, mask)));
    const F32x16 glu = Divide(g, Add(one, Exp(Times(g, Broadcast(-1.702f)))));
    Store(Times(glu, Add(u, one)), into + i, mask);
  }
}

void AddScaled(const float* x, float scale, size_t n, float* into) {
  const F32x16 factor = Broadcast(scale);
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    Store(Fma(Load(x + i, mask), factor, Load(into + i, mask)), into + i, mask);
  }
}

inline void TurnHead(float* head, const float* cos_sin, size_t elements, F32x16 scale) {
  for (size_t i = 0; i < elements; i += 16) {
    const Mask mask = LanesFrom(i, elements);
    const F32x16 x = Load(head + i, mask);
    const F32x16 angle = Load(cos_sin + i, mask);
    const F32x16 crossed = Times(SwapPairs(x), NegateEven(TwiceOdd(angle)));
    Store(Times(Fma(x, TwiceEven(angle), crossed), scale), head + i, mask);
  }
}

void Rope(float* row, const float* cos_sin, size_t first, size_t pairs, size_t head_dim,
          size_t heads, float scale) {
  for (size_t h = 0; h < heads; ++h, row += head_dim) {
    for (size_t i = 0; i < first; ++i) row[i] *= scale;
    TurnHead(row + first, cos_sin, 2 * pairs, Broadcast(scale));
    for (size_t i = first + 2 * pairs; i < head_dim; ++i) row[i] *= scale;
  }
}

void ToHalf(const float* x, size_t n, uint16_t* into) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) StoreHalf(Load(x + i), into + i);
  if (i == n) return;
  uint16_t rest[16];
  StoreHalf(Load(x + i, LanesFrom(i, n)), rest);
  __builtin_memcpy(into + i, rest, (n - i) * sizeof(uint16_t));
}

void FromHalf(const uint16_t* x, size_t n, float* into) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) Store(LoadHalf(x + i), into + i);
  if (i == n) return;
  uint16_t rest[16] = {};
  __builtin_memcpy(rest, x + i, (n - i) * sizeof(uint16_t));
  Store(LoadHalf(rest), into + i, LanesFrom(i, n));
}

// ---- attention ----

// What the rows of a tile carry from one key block to the next.
struct AttentionState {
  float* latents;  // [kKeyBlock][value width] of the pages' type: values brought into rows
  float* scores;   // [row][kKeyBlock], then weights
  float* sums;     // [row][width]
  float* max;      // [row]
  float* total;    // [row]
};

// As KvWidth(), without a symbol to share.
inline size_t WidthOf(const AttentionTile& tile) {
  return (tile.head_dim + 15) / 16 * 16;
}

inline size_t ValueDimOf(const AttentionTile& tile) {
  return tile.latent == 0 ? tile.head_dim : tile.latent;
}
inline size_t ValueWidthOf(const AttentionTile& tile) {
  return (ValueDimOf(tile) + 15) / 16 * 16;
}

inline AttentionState StateOf(const AttentionTile& tile) {
  float* scores = tile.scratch + kKeyBlock * WidthOf(tile);
  float* sums = scores + kAttentionRowsMax * kKeyBlock;
  float* max = sums + kAttentionRowsMax * ValueWidthOf(tile);
  return {tile.scratch, scores, sums, max, max + kAttentionRowsMax};
}

inline size_t RowsOf(const AttentionTile& tile) {
  return tile.tokens * tile.group;
}

inline size_t OffsetOf(const AttentionTile& tile, size_t row) {
  return row / tile.group * tile.stride + row % tile.group * tile.head_dim;
}

inline float* ResultOf(const AttentionTile& tile, size_t row) {
  const size_t dim = ValueDimOf(tile);
  return tile.into + row / tile.group * (tile.stride / tile.head_dim * dim) +
         row % tile.group * dim;
}

// Keys of the block beginning at `begin` up to the last that a row may see.
inline size_t VisibleTo(const AttentionTile& tile, size_t row, size_t begin) {
  const size_t end = tile.first + row / tile.group + 1;
  if (end <= begin) return 0;
  return end - begin < kKeyBlock ? end - begin : kKeyBlock;
}

// The first key that a row may see.
inline size_t FirstKeyOf(const AttentionTile& tile, size_t row) {
  if (tile.window == 0) return 0;
  const size_t end = tile.first + row / tile.group + 1;
  return end < tile.window ? 0 : end - tile.window;
}

// Keys of the block beginning at `begin` before the first that a row may see.
inline size_t HiddenFrom(const AttentionTile& tile, size_t row, size_t begin) {
  const size_t first = FirstKeyOf(tile, row);
  if (first <= begin) return 0;
  return first - begin < kKeyBlock ? first - begin : kKeyBlock;
}

inline F32x16 SoftCap(F32x16 score, float cap) {
  const F32x16 one = Broadcast(1.0f);
  const F32x16 power = Exp(Times(score, Broadcast(2.0f / cap)));
  return Times(Subtract(one, Divide(Broadcast(2.0f), Add(power, one))), Broadcast(cap));
}

void SoftCapAll(float* x, float cap, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    Store(SoftCap(Load(x + i, mask), cap), x + i, mask);
  }
}

// Sixteen keys or values of a page.
inline F32x16 LoadKv(const float* from) {
  return Load(from);
}
inline F32x16 LoadKv(const uint16_t* from) {
  return LoadHalf(from);
}

// Scores of kRows rows with kVectors x 16 keys.
template <size_t kRows, typename T>
inline void ScoreRows(const AttentionTile& tile, size_t row, const T* keys, float* scores) {
  const float* q[kRows];
  F32x16 sums[kRows][kVectors];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
    q[r] = tile.q + OffsetOf(tile, row + r);
    Clear<kVectors>(sums[r]);
  }
  const size_t stride = WidthOf(tile) * 16;
  for (size_t d = 0; d < tile.head_dim; ++d) {
    F32x16 k[kVectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) k[v] = LoadKv(keys + v * stride + d * 16);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      const F32x16 x = Broadcast(q[r][d]);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) sums[r][v] = Fma(x, k[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) Store(sums[r][v], scores + r * kKeyBlock + v * 16);
  }
}

// sums = sums * shrink + weights x values, for kRows rows and kWide x 16 elements of head_dim.
template <size_t kRows, size_t kWide, typename T>
inline void AddValues(const T* values, size_t width, size_t first, size_t keys,
                      const float* weights, const float* shrink, float* into) {
  F32x16 sums[kRows][kWide];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) {
      sums[r][v] = Times(Load(into + r * width + v * 16), Broadcast(shrink[r]));
    }
  }
  for (size_t j = first; j < keys; ++j) {
    F32x16 value[kWide];
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) value[v] = LoadKv(values + j * width + v * 16);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      const F32x16 weight = Broadcast(weights[r * kKeyBlock + j]);
#pragma GCC unroll 4
      for (size_t v = 0; v < kWide; ++v) sums[r][v] = Fma(weight, value[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) Store(sums[r][v], into + r * width + v * 16);
  }
}

#include "kernels/cpu/latents.h"

// The first lanes of line i that are among `hidden` keys.
inline Mask HiddenLanes(size_t i, size_t hidden) {
  return FirstLanes(hidden > i ? hidden - i : 0);
}

// Scores become weights relative to the new maximum, zero where a key is not among [hidden,
// visible). Returns what earlier sums shrink by.
inline float Rescale(float* scores, size_t hidden, size_t visible, float* max, float* total) {
  if (hidden >= visible) {
    for (size_t i = 0; i < kKeyBlock; i += 16) Store(Zero(), scores + i);
    return 1.0f;
  }
  F32x16 largest = Broadcast(*max);
  for (size_t i = 0; i < visible; i += 16) {
    const Mask mask = LanesFrom(i, visible);
    const F32x16 seen = Select(mask, Max(Load(scores + i), largest), largest);
    largest = Select(HiddenLanes(i, hidden), largest, seen);
  }
  const float now = Largest(largest);
  F32x16 sums = Zero();
  for (size_t i = 0; i < kKeyBlock; i += 16) {
    const Mask mask = LanesFrom(i, i < visible ? visible : i);
    const F32x16 weight = Exp(Subtract(Load(scores + i), Broadcast(now)));
    const F32x16 visible_weight =
        Select(HiddenLanes(i, hidden), Zero(), Select(mask, weight, Zero()));
    Store(visible_weight, scores + i);
    sums = Add(sums, visible_weight);
  }
  alignas(64) float shrink[16];
  Store(Exp(Broadcast(*max - now)), shrink);
  *max = now;
  *total = __builtin_fmaf(*total, shrink[0], Sum(sums));
  return shrink[0];
}

// A block of keys, which begins at token `begin`, and its values in rows of ValueWidthOf().
template <typename T>
struct KeyBlock {
  size_t begin;
  const T* keys;
  const T* values;
};

template <size_t kRows, typename T>
inline void AttendBlockRows(const AttentionTile& tile, const AttentionState& state, size_t row,
                            const KeyBlock<T>& block) {
  const size_t begin = block.begin;
  const size_t visible = VisibleTo(tile, row + kRows - 1, begin);
  const size_t hidden = HiddenFrom(tile, row, begin);
  if (hidden >= visible) return;
  float* scores = state.scores + row * kKeyBlock;
  for (size_t at = 0; at < visible; at += kVectors * 16) {
    ScoreRows<kRows>(tile, row, block.keys + at * WidthOf(tile), scores + at);
  }
  float shrink[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    float* of_row = scores + r * kKeyBlock;
    if (tile.softcap > 0) {
      for (size_t i = 0; i < visible; i += 16) {
        Store(SoftCap(Load(of_row + i), tile.softcap), of_row + i);
      }
    }
    shrink[r] = Rescale(of_row, HiddenFrom(tile, row + r, begin), VisibleTo(tile, row + r, begin),
                        state.max + row + r, state.total + row + r);
  }
  const size_t width = ValueWidthOf(tile);
  float* into = state.sums + row * width;
  size_t d = 0;
  for (; d + kVectors * 16 <= width; d += kVectors * 16) {
    AddValues<kRows, kVectors>(block.values + d, width, hidden, visible, scores, shrink, into + d);
  }
  for (; d < width; d += 16) {
    AddValues<kRows, 1>(block.values + d, width, hidden, visible, scores, shrink, into + d);
  }
}

// Rows [row, rows) in groups of kRows, the rest in smaller ones.
template <size_t kRows, typename T>
inline void AttendBlock(const AttentionTile& tile, const AttentionState& state, size_t row,
                        const KeyBlock<T>& block) {
  const size_t rows = RowsOf(tile);
  for (; row + kRows <= rows; row += kRows) AttendBlockRows<kRows>(tile, state, row, block);
  if constexpr (kRows > 1) {
    if (row < rows) AttendBlock<kRows - 1>(tile, state, row, block);
  }
}

template <typename T>
inline KeyBlock<T> BlockAt(const AttentionTile& tile, const AttentionState& state, size_t begin) {
  const size_t page = static_cast<size_t>(tile.pages[begin / kKeyBlock]) * tile.page_bytes;
  const auto* keys = reinterpret_cast<const T*>(tile.keys + page);
  if (tile.latent == 0) return {begin, keys, reinterpret_cast<const T*>(tile.values + page)};
  auto* rows = reinterpret_cast<T*>(state.latents);
  ToRows(keys, WidthOf(tile), ValueWidthOf(tile), rows);
  return {begin, keys, rows};
}

inline void BeginRows(const AttentionTile& tile, const AttentionState& state) {
  for (size_t r = 0; r < RowsOf(tile); ++r) {
    state.max[r] = -__builtin_inff();
    state.total[r] = 0;
  }
  for (size_t i = 0; i < RowsOf(tile) * ValueWidthOf(tile); i += 16) {
    Store(Zero(), state.sums + i);
  }
}

// What the sums of a row shrink by, and their total with its sink, where there is one.
struct SinkShares {
  float sums;
  float total;
};

inline SinkShares SinkOf(const AttentionTile& tile, size_t row, float max, float total) {
  if (tile.sinks == nullptr) return {1.0f, total};
  const float sink = tile.sinks[row % tile.group];
  const float now = max < sink ? sink : max;
  alignas(64) float old_share[16], sink_share[16];
  Store(Exp(Broadcast(max - now)), old_share);
  Store(Exp(Broadcast(sink - now)), sink_share);
  return {old_share[0], __builtin_fmaf(total, old_share[0], sink_share[0])};
}

inline void FinishRows(const AttentionTile& tile, const AttentionState& state) {
  const size_t dim = ValueDimOf(tile);
  for (size_t r = 0; r < RowsOf(tile); ++r) {
    float* into = ResultOf(tile, r);
    const SinkShares shares = SinkOf(tile, r, state.max[r], state.total[r]);
    const F32x16 total = Broadcast(shares.total);
    for (size_t d = 0; d < dim; d += 16) {
      const F32x16 sums = Load(state.sums + r * ValueWidthOf(tile) + d);
      Store(Divide(Times(sums, Broadcast(shares.sums)), total), into + d, LanesFrom(d, dim));
    }
  }
}

template <typename T>
inline void AttendTo(const AttentionTile& tile) {
  const AttentionState state = StateOf(tile);
  BeginRows(tile, state);
  const size_t end = tile.first + tile.tokens;
  for (size_t begin = FirstKeyOf(tile, 0) / kKeyBlock * kKeyBlock; begin < end;
       begin += kKeyBlock) {
    AttendBlock<kAttentionRows>(tile, state, 0, BlockAt<T>(tile, state, begin));
  }
  FinishRows(tile, state);
}

void Attend(const AttentionTile& tile) {
  if (tile.kv_type == KvType::kF32) return AttendTo<float>(tile);
  AttendTo<uint16_t>(tile);
}

#include "kernels/cpu/brain_attention.h"

// ---- peaks ----

constexpr size_t kPeakBrainSums = kWideRegisters ? 12 : 4;
constexpr size_t kPeakBrainOps = kPeakBrainSums * 64;

inline float PeakBrain(size_t iterations) {
  F32x16 sums[kPeakBrainSums];  // all different, or the compiler computes one
  for (size_t i = 0; i < kPeakBrainSums; ++i) sums[i] = Broadcast(static_cast<float>(i));
  const BrainPairs a = BroadcastPair(0x3f003f00u + static_cast<uint32_t>(iterations % 2));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (F32x16& sum : sums) sum = DotPairs(a, a, sum);
  }
  float total = 0;
  for (const F32x16& sum : sums) total += Sum(sum);
  return total;
}

// ---- the table ----

template <typename Block>
constexpr MatrixKernels BlockKernels() {
  return {BlockWeights<Block>::kOperand, panel::PanelBytes<Block>, panel::Pack<Block>,
          panel::UnpackRow<Block>, MultiplyAll<BlockWeights<Block>>};
}

constexpr KernelTable BodyTable(const char* name) {
  using panel::BytesBF16, panel::BytesF32, panel::UnpackBF16, panel::UnpackF32;
  constexpr OperandKind kFloat = OperandKind::kFloat;
  constexpr OperandKind kBrain = OperandKind::kBrain;
  constexpr auto kMultiplyBrain = MultiplyAll<BrainWeights>;
  return {
      .name = name,
      .tile_tokens = kTileTokens,
      .f32 = {kFloat, BytesF32, panel::PackF32, UnpackF32, MultiplyAll<F32Weights>},
      .f16 = {kBrain, BytesBF16, PackF16, UnpackBF16, kMultiplyBrain},
      .bf16 = {kBrain, BytesBF16, panel::PackBF16, UnpackBF16, kMultiplyBrain},
      .q8_0 = BlockKernels<BlockQ8_0>(),
      .q4_0 = BlockKernels<BlockQ4_0>(),
      .q4_k = BlockKernels<BlockQ4_K>(),
      .q6_k = BlockKernels<BlockQ6_K>(),
      .q4_1 = BlockKernels<BlockQ4_1>(),
      .q5_0 = BlockKernels<BlockQ5_0>(),
      .q5_1 = BlockKernels<BlockQ5_1>(),
      .q2_k = BlockKernels<BlockQ2_K>(),
      .q3_k = BlockKernels<BlockQ3_K>(),
      .q5_k = BlockKernels<BlockQ5_K>(),
      .iq4_nl = BlockKernels<BlockIQ4_NL>(),
      .iq4_xs = BlockKernels<BlockIQ4_XS>(),
      .mxfp4 = BlockKernels<BlockMXFP4>(),
      .mlx4 = BlockKernels<BlockMlx4>(),
      .mlx8 = BlockKernels<BlockMlx8>(),
      .mlx8_half = BlockKernels<BlockMlx8Half>(),
      .prepare_int8 = PrepareInt8,
      .prepare_super_int8 = PrepareSuperInt8,
      .prepare_float = PrepareFloat,
      .prepare_brain = PrepareBrain,
      .rms_norm = RmsNorm,
      .silu_multiply = SiluMultiply,
      .gelu_multiply = GeluMultiply,
      .clamped_swiglu = ClampedSwiglu,
      .soft_cap = SoftCapAll,
      .add_scaled = AddScaled,
      .rope = Rope,
      .attend = Attend,
      .attend_brain = AttendBrain,
      .attend_segment = AttendSegment,
      .merge_segments = MergeSegments,
      .to_half = ToHalf,
      .from_half = FromHalf,
      .peaks = {kPeakInt8Ops, kPeakFusedOps, kPeakBrainOps, PeakInt8, PeakFused, PeakBrain,
                PeakRead},
  };
}
