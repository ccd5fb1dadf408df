// How the CPU instruction sets store weights: panels of 16 output rows, interleaved so that SIMD
// lane r works on row r and K runs in order. The same bytes serve AVX2 and AVX-512; the numbers of
// bits per weight are those of the file (Q4_K takes 16 bytes of scales where the file packs 12).
//
// A panel is a row of parts, each for all B = columns / 32 blocks (S = columns / 256 super-blocks).
// "x16" is one value per row, lane by lane:
//
//   Q8_0   B x [8] x16 x 4 bytes    group g: weights 4g to 4g + 3, each q + 128
//          B x x16 F16              d
//   Q4_0   B x [4] x16 x 4 bytes    group g: low nibbles weights 4g to 4g + 3, high 16 + 4g to ...
//          B x x16 F16              d
//   Q4_K   B x [4] x16 x 4 bytes    as Q4_0, per sub-block of 32
//          B x x16 U8, x16 U8       scale, min
//          S x x16 F16, x16 F16     d, dmin
//   Q6_K   B x [4] x16 x 4 bytes    low 4 bits as Q4_0
//          B x [2] x16 x 4 bytes    high 2 bits: bits 2p of part t belong to weights 16t + 4p +
//          byte B x [2] x16 S8           scales of weights 0 to 15 and 16 to 31 S x x16 F16 d
//   F32, F16   columns x x16
//   BF16   columns / 2 (rounded up) x x16 x 2   pairs of columns
//
// Panels begin at multiples of 64 bytes if the first one does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace baton::kernels::panel {

// Offsets of the parts behind the first, and the whole, in bytes.
struct Parts {
  size_t second = 0;
  size_t third = 0;
  size_t fourth = 0;
  size_t total = 0;
};

static constexpr size_t RoundUpToLine(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

static constexpr size_t BrainPanelBytes(size_t columns) {
  return (columns + 1) / 2 * kPanelRows * 4;
}
static constexpr Parts PartsQ8_0(size_t columns) {
  const size_t blocks = columns / 32;
  return {blocks * 512, 0, 0, RoundUpToLine(blocks * 544)};
}
static constexpr Parts PartsQ4_0(size_t columns) {
  const size_t blocks = columns / 32;
  return {blocks * 256, 0, 0, RoundUpToLine(blocks * 288)};
}
static constexpr Parts PartsQ4_K(size_t columns) {
  const size_t blocks = columns / 32;
  return {blocks * 256, blocks * 288, 0, RoundUpToLine(blocks * 288 + columns / 256 * 64)};
}
static constexpr Parts PartsQ6_K(size_t columns) {
  const size_t blocks = columns / 32;
  return {blocks * 256, blocks * 384, blocks * 416,
          RoundUpToLine(blocks * 416 + columns / 256 * 32)};
}

size_t BytesF32(size_t columns);
size_t BytesF16(size_t columns);
size_t BytesBF16(size_t columns);
size_t BytesQ8_0(size_t columns);
size_t BytesQ4_0(size_t columns);
size_t BytesQ4_K(size_t columns);
size_t BytesQ6_K(size_t columns);

// As MatrixKernels::pack and ::unpack_row.
void PackF32(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
void PackF16(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
void PackBF16(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
void PackQ8_0(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
void PackQ4_0(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
void PackQ4_K(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);
void PackQ6_K(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel);

void UnpackF32(const uint8_t* panel, size_t row, size_t columns, float* into);
void UnpackF16(const uint8_t* panel, size_t row, size_t columns, float* into);
void UnpackBF16(const uint8_t* panel, size_t row, size_t columns, float* into);
void UnpackQ8_0(const uint8_t* panel, size_t row, size_t columns, float* into);
void UnpackQ4_0(const uint8_t* panel, size_t row, size_t columns, float* into);
void UnpackQ4_K(const uint8_t* panel, size_t row, size_t columns, float* into);
void UnpackQ6_K(const uint8_t* panel, size_t row, size_t columns, float* into);

}  // namespace baton::kernels::panel
