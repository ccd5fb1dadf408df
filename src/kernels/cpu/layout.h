// How the CPU instruction sets store weights: panels of 16 output rows, interleaved so that SIMD
// lane r works on row r and K runs in order. The same bytes serve every set; the numbers of
// bits per weight are those of the file (Q3_K, Q4_K and Q5_K take 16 bytes of scales where the file
// packs 12, IQ4_XS 8 for 6).
//
// A panel of a quantised type is a row of bands of 256 columns, the last of what is left: B blocks
// of 32, eight but for that one. So whoever reads a panel from one end to the other finds all of it
// in the order in which it is wanted. A band has three parts, each from a whole line of 64 bytes
// on. "x16" is one value per row, lane by lane:
//
//   super   16 * kSuperBytes      F16 d, then F16 dmin where there are minima, x16
//   scales  B x 16 * kScaleBytes  as Format's comment says, x16
//   planes  B x                   of the unsigned integers
//             64 * kHighBits        the bits above the low ones
//             64 * kLowBits         the low bits
//
// n bits per weight make n lines of [x16][4 bytes]. The four bytes of a row belong to weights 4g to
// 4g + 3 of group g < 8: line g * n / 8 has them in its bits g * n % 8 and up.
//
//   F32        columns x x16
//   BF16, F16  columns / 2 (rounded up) x x16 x 2   pairs of columns, all as BF16
//
// Panels begin at multiples of 64 bytes if the first one does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"
#include "tensor/blocks.h"

namespace baton::kernels::panel {

static constexpr size_t RoundUpToLine(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

static constexpr size_t BrainPanelBytes(size_t columns) {
  return (columns + 1) / 2 * kPanelRows * 4;
}

static constexpr size_t kBandBlocks = 8;
static constexpr size_t kBandColumns = 32 * kBandBlocks;

// Blocks of the band that begins at column `begin`.
static constexpr size_t BandBlocks(size_t begin, size_t columns) {
  return columns - begin < kBandColumns ? (columns - begin) / 32 : kBandBlocks;
}

// Offsets of a band's parts behind the first, and the whole, in bytes.
struct Parts {
  size_t scales;
  size_t planes;
  size_t total;
};

template <size_t kLow, size_t kHigh, size_t kScale, size_t kSuper>
struct PanelFormat {
  static constexpr size_t kLowBits = kLow;
  static constexpr size_t kHighBits = kHigh;
  static constexpr size_t kScaleBytes = kScale;  // per row of a block of 32
  static constexpr size_t kSuperBytes = kSuper;  // per row of 256, 0 if there are no super-blocks

  static constexpr size_t kPlaneBytes = 64 * (kHigh + kLow);  // of a block of 32

  static constexpr Parts PartsOf(size_t blocks) {
    const size_t scales = RoundUpToLine(kPanelRows * kSuper);
    const size_t planes = scales + RoundUpToLine(blocks * kPanelRows * kScale);
    return {scales, planes, planes + blocks * kPlaneBytes};
  }
  // Where the band of column `column` begins.
  static constexpr size_t BandAt(size_t column) {
    return column / kBandColumns * PartsOf(kBandBlocks).total;
  }
  static constexpr size_t PanelBytes(size_t columns) {
    const size_t rest = columns % kBandColumns / 32;
    return BandAt(columns) + (rest == 0 ? 0 : PartsOf(rest).total);
  }
};

template <typename Block>
struct Format;
// F16 d (x16), F16 m (x16).
template <>
struct Format<BlockQ4_0> : PanelFormat<4, 0, 2, 0> {};
template <>
struct Format<BlockQ4_1> : PanelFormat<4, 0, 4, 0> {};
template <>
struct Format<BlockQ5_0> : PanelFormat<4, 1, 2, 0> {};
template <>
struct Format<BlockQ5_1> : PanelFormat<4, 1, 4, 0> {};
template <>
struct Format<BlockQ8_0> : PanelFormat<8, 0, 2, 0> {};
template <>
struct Format<BlockIQ4_NL> : PanelFormat<4, 0, 2, 0> {};
// F16 d (x16), F16 m (x16); or both in BF16.
template <>
struct Format<BlockMlx4> : PanelFormat<4, 0, 4, 0> {};
template <>
struct Format<BlockMlx8> : PanelFormat<8, 0, 4, 0> {};
template <>
struct Format<BlockMlx8Half> : PanelFormat<8, 0, 4, 0> {};
// E8M0.
template <>
struct Format<BlockMXFP4> : PanelFormat<4, 0, 1, 0> {};
// U8 scale, U8 minimum.
template <>
struct Format<BlockQ4_K> : PanelFormat<4, 0, 2, 4> {};
template <>
struct Format<BlockQ5_K> : PanelFormat<4, 1, 2, 4> {};
// S8 scale.
template <>
struct Format<BlockIQ4_XS> : PanelFormat<4, 0, 1, 2> {};
// S8 scales of weights 0 to 15 and 16 to 31.
template <>
struct Format<BlockQ3_K> : PanelFormat<2, 1, 2, 2> {};
template <>
struct Format<BlockQ6_K> : PanelFormat<4, 2, 2, 2> {};
// Of weights 0 to 15 and 16 to 31: scale in the low nibble, minimum in the high one.
template <>
struct Format<BlockQ2_K> : PanelFormat<2, 0, 2, 4> {};

size_t BytesF32(size_t columns);
size_t BytesBF16(size_t columns);

// As MatrixKernels::pack and ::unpack_row.
void PackF32(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
void PackBF16(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);

void UnpackF32(const uint8_t* panel, size_t row, size_t columns, float* into);
void UnpackBF16(const uint8_t* panel, size_t row, size_t columns, float* into);

// For every quantised block type.
template <typename Block>
size_t PanelBytes(size_t columns);
template <typename Block>
void Pack(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
template <typename Block>
void UnpackRow(const uint8_t* panel, size_t row, size_t columns, float* into);

}  // namespace baton::kernels::panel
