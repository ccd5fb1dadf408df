#include "kernels/cpu/layout.h"

#include <concepts>
#include <cstring>

#include "kernels/half.h"
#include "kernels/reference/blocks.h"

namespace baton::kernels::panel {
namespace {

template <typename T>
T Load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
void Store(uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

// Value of lane `row` in the x16 array at `at`.
template <typename T>
T Lane(const uint8_t* at, size_t row) {
  return Load<T>(at + row * sizeof(T));
}
template <typename T>
void SetLane(uint8_t* at, size_t row, T value) {
  Store(at + row * sizeof(T), value);
}

// Words of a row, `filter`ed, as lanes of lines that the rows share.
template <typename Filter>
void PackWords(const uint8_t* rows, size_t count, size_t row_bytes, uint8_t* panel, Filter filter) {
  const size_t words = row_bytes / sizeof(uint32_t);
  constexpr size_t kStripe = 16;  // words at a time, so that the panel's lines stay in L1
  for (size_t begin = 0; begin < words; begin += kStripe) {
    const size_t end = begin + kStripe < words ? begin + kStripe : words;
    for (size_t r = 0; r < count; ++r) {
      const uint8_t* row = rows + r * row_bytes;
      for (size_t i = begin; i < end; ++i)
        SetLane(panel + i * 64, r, filter(Load<uint32_t>(row + i * sizeof(uint32_t))));
    }
  }
}

uint32_t BrainFactors(uint32_t pair) {
  const uint32_t second = BrainFactor(static_cast<uint16_t>(pair >> 16));
  return second << 16 | BrainFactor(static_cast<uint16_t>(pair));
}

// The integers of 32 weights of each row, four a word.
using Fours = uint32_t[8][kPanelRows];

// Their bits kFrom to kFrom + kBits as kBits lines.
template <size_t kBits, size_t kFrom>
void StoreBits(const Fours& fours, uint8_t* lines) {
  constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x01010101u;
  constexpr size_t kGroups = kBits == 0 ? 0 : 8 / kBits;  // of a line
  for (size_t line = 0; line < kBits; ++line) {
    uint32_t words[kPanelRows] = {};
#pragma GCC unroll 8
    for (size_t i = 0; i < kGroups; ++i) {
      for (size_t r = 0; r < kPanelRows; ++r)
        words[r] |= (fours[line * kGroups + i][r] >> kFrom & kMask) << (i * kBits);
    }
    std::memcpy(lines + line * 64, words, sizeof(words));
  }
}

template <size_t kBits>
uint8_t BitsOf(const uint8_t* lines, size_t row, size_t i) {
  if constexpr (kBits == 0) return 0;
  const size_t bit = i / 4 * kBits;
  return lines[bit / 8 * 64 + row * 4 + i % 4] >> (bit % 8) & ((1u << kBits) - 1);
}

// ---- scales of block s of a super-block, or of a block of 32 ----

template <typename Block>
concept SignedScales = SuperBlock<Block> && !Block::kMinimum;

template <OneHalf Block>
void SetScales(const Block& w, size_t, uint8_t* scales, uint8_t*, size_t row) {
  SetLane(scales, row, w.d);
  if constexpr (Block::kMinimum) SetLane(scales + 32, row, w.m);
}
template <OneHalf Block>
Scaling GetScaling(const uint8_t* scales, const uint8_t*, size_t row, size_t) {
  const float d = ScaleOfBits<Block>(Lane<uint16_t>(scales, row));
  if constexpr (Block::kMinimum) return {d, ScaleOfBits<Block>(Lane<uint16_t>(scales + 32, row))};
  return {d};
}

void SetScales(const BlockMXFP4& w, size_t, uint8_t* scales, uint8_t*, size_t row) {
  scales[row] = w.e;
}
template <std::same_as<BlockMXFP4> Block>
Scaling GetScaling(const uint8_t* scales, const uint8_t*, size_t row, size_t) {
  return {PowerOfExponent(scales[row])};
}

template <SignedScales Block>
void SetScales(const Block& w, size_t s, uint8_t* scales, uint8_t* super, size_t row) {
  constexpr size_t kSubs = 32 / Block::kSubBlock;
  for (size_t i = 0; i < kSubs; ++i) SetLane(scales + i * 16, row, ScaleOf(w, s * kSubs + i));
  SetLane(super, row, w.d);
}
template <SignedScales Block>
Scaling GetScaling(const uint8_t* scales, const uint8_t* super, size_t row, size_t sub) {
  const auto scale = Lane<int8_t>(scales + sub * 16, row);
  return {FromHalf(Lane<Half>(super, row)) * static_cast<float>(scale)};
}

void SetScales(const BlockQ2_K& w, size_t s, uint8_t* scales, uint8_t* super, size_t row) {
  for (size_t i = 0; i < 2; ++i) scales[i * 16 + row] = w.scales[s * 2 + i];
  SetLane(super, row, w.d);
  SetLane(super + 32, row, w.dmin);
}
template <std::same_as<BlockQ2_K> Block>
Scaling GetScaling(const uint8_t* scales, const uint8_t* super, size_t row, size_t sub) {
  const uint8_t both = scales[sub * 16 + row];
  return Scaled(Lane<Half>(super, row), both & 15, Lane<Half>(super + 32, row), both >> 4);
}

// Q4_K and Q5_K.
template <typename Block>
requires SuperBlock<Block> && Block::kMinimum void SetScales(const Block& w, size_t s,
                                                             uint8_t* scales, uint8_t* super,
                                                             size_t row) {
  const auto [scale, min] = ScaleAndMinOf(w.scales, s);
  scales[row] = scale;
  scales[16 + row] = min;
  SetLane(super, row, w.d);
  SetLane(super + 32, row, w.dmin);
}
template <typename Block>
requires SuperBlock<Block> && Block::kMinimum &&(Block::kSubBlock == 32) Scaling
    GetScaling(const uint8_t* scales, const uint8_t* super, size_t row, size_t) {
  return Scaled(Lane<Half>(super, row), scales[row], Lane<Half>(super + 32, row), scales[16 + row]);
}

}  // namespace

size_t BytesF32(size_t columns) {
  return columns * kPanelRows * sizeof(float);
}
size_t BytesBF16(size_t columns) {
  return BrainPanelBytes(columns);
}

void PackF32(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  if (count < kPanelRows) std::memset(panel, 0, BytesF32(columns));
  PackWords(rows, count, columns * sizeof(float), panel, [](uint32_t word) { return word; });
}

void PackBF16(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  const size_t row_bytes = columns * sizeof(uint16_t);
  if (count < kPanelRows) std::memset(panel, 0, BytesBF16(columns));
  PackWords(rows, count, row_bytes, panel, BrainFactors);
  if (columns % 2 == 0) return;
  for (size_t r = 0; r < count; ++r) {
    const auto last = Load<uint16_t>(rows + (r + 1) * row_bytes - sizeof(uint16_t));
    SetLane<uint32_t>(panel + columns / 2 * 64, r, BrainFactor(last));
  }
}

void UnpackF32(const uint8_t* panel, size_t row, size_t columns, float* into) {
  for (size_t k = 0; k < columns; ++k) into[k] = Lane<float>(panel + k * 64, row);
}

void UnpackBF16(const uint8_t* panel, size_t row, size_t columns, float* into) {
  for (size_t k = 0; k < columns; ++k)
    into[k] = FromBrain(Load<uint16_t>(panel + k / 2 * 64 + row * 4 + k % 2 * 2));
}

template <typename Block>
size_t PanelBytes(size_t columns) {
  return Format<Block>::PanelBytes(columns);
}

namespace {

// Row r's weights of a band, from its block of them on.
template <typename Block>
void PackRowOfBand(const uint8_t* row, size_t r, size_t blocks, const Parts& parts,
                   Fours (&fours)[kBandBlocks], uint8_t* band) {
  using F = Format<Block>;
  constexpr size_t kBlocks = Block::kElements / 32;
  for (size_t b = 0; b < blocks; b += kBlocks) {
    const auto w = Load<Block>(row + b / kBlocks * sizeof(Block));
#pragma GCC unroll 8
    for (size_t s = 0; s < kBlocks; ++s) {
#pragma GCC unroll 8
      for (size_t g = 0; g < 8; ++g) fours[b + s][g][r] = QuantsOf(w, s * 8 + g);
      SetScales(w, s, band + parts.scales + (b + s) * kPanelRows * F::kScaleBytes, band, r);
    }
  }
}

}  // namespace

template <typename Block>
void Pack(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  using F = Format<Block>;
  const size_t row_bytes = columns / Block::kElements * sizeof(Block);
  if (count < kPanelRows) std::memset(panel, 0, F::PanelBytes(columns));
  Fours fours[kBandBlocks] = {};
  for (size_t k = 0; k < columns; k += kBandColumns) {
    const size_t blocks = BandBlocks(k, columns);
    const Parts parts = F::PartsOf(blocks);
    uint8_t* band = panel + F::BandAt(k);
    const uint8_t* first = rows + k / Block::kElements * sizeof(Block);
    for (size_t r = 0; r < count; ++r)
      PackRowOfBand<Block>(first + r * row_bytes, r, blocks, parts, fours, band);
    for (size_t b = 0; b < blocks; ++b) {
      uint8_t* high = band + parts.planes + b * F::kPlaneBytes;
      StoreBits<F::kHighBits, F::kLowBits>(fours[b], high);
      StoreBits<F::kLowBits, 0>(fours[b], high + 64 * F::kHighBits);
    }
  }
}

template <typename Block>
void UnpackRow(const uint8_t* panel, size_t row, size_t columns, float* into) {
  using F = Format<Block>;
  for (size_t k = 0; k < columns; ++k) {
    const size_t b = k % kBandColumns / 32;
    const uint8_t* band = panel + F::BandAt(k);
    const Parts parts = F::PartsOf(BandBlocks(k / kBandColumns * kBandColumns, columns));
    const uint8_t* planes = band + parts.planes + b * F::kPlaneBytes;
    const uint8_t high = BitsOf<F::kHighBits>(planes, row, k % 32);
    const uint8_t low = BitsOf<F::kLowBits>(planes + 64 * F::kHighBits, row, k % 32);
    const Scaling scaling = GetScaling<Block>(band + parts.scales + b * kPanelRows * F::kScaleBytes,
                                              band, row, k % 32 / Block::kSubBlock);
    into[k] = WeightOf<Block>(scaling, static_cast<uint8_t>(low | high << F::kLowBits));
  }
}

#define BATON_QUANTISED(Block)                                         \
  template size_t PanelBytes<Block>(size_t);                           \
  template void Pack<Block>(const uint8_t*, size_t, size_t, uint8_t*); \
  template void UnpackRow<Block>(const uint8_t*, size_t, size_t, float*)

BATON_QUANTISED(BlockQ4_0);
BATON_QUANTISED(BlockQ4_1);
BATON_QUANTISED(BlockQ5_0);
BATON_QUANTISED(BlockQ5_1);
BATON_QUANTISED(BlockQ8_0);
BATON_QUANTISED(BlockQ2_K);
BATON_QUANTISED(BlockQ3_K);
BATON_QUANTISED(BlockQ4_K);
BATON_QUANTISED(BlockQ5_K);
BATON_QUANTISED(BlockQ6_K);
BATON_QUANTISED(BlockIQ4_NL);
BATON_QUANTISED(BlockIQ4_XS);
BATON_QUANTISED(BlockMXFP4);
BATON_QUANTISED(BlockMlx4);
BATON_QUANTISED(BlockMlx8);
BATON_QUANTISED(BlockMlx8Half);

}  // namespace baton::kernels::panel
