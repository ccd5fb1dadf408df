// The quantised block layouts as GGUF stores them, byte for byte, and some of ours for weights that
// no GGUF file has. Source: the GGUF specification
// and ggml's public block definitions; kernels/reference/blocks.h says how to read them.
//
// A block holds kElements weights; every kSubBlock of them share a scale. "q" is the unsigned
// integer that the bits of a weight spell, and w = scale * (q - kZero) + minimum, where only the
// types with kMinimum have one. Types with a codebook put a value of it where others have q.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton {

using Half = uint16_t;  // IEEE 754 binary16 bits

// 32 weights: w = d * (q - 8). Byte j holds weight j in its low nibble, j + 16 in its high one.
struct BlockQ4_0 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 8;
  static constexpr bool kMinimum = false;
  Half d;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// 32 weights: w = d * q + m, nibbles as Q4_0.
struct BlockQ4_1 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  Half d;
  Half m;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

// 32 weights: w = d * (q - 16). Low 4 bits as Q4_0; the fifth of weight i is bit i of `qh`, little
// endian.
struct BlockQ5_0 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 16;
  static constexpr bool kMinimum = false;
  Half d;
  uint8_t qh[4];
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

// 32 weights: w = d * q + m, bits as Q5_0.
struct BlockQ5_1 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  Half d;
  Half m;
  uint8_t qh[4];
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

// 32 weights: w = d * q, q signed.
struct BlockQ8_0 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 128;  // of q + 128
  static constexpr bool kMinimum = false;
  Half d;
  int8_t q[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// 256 weights in 16 sub-blocks of 16: w = d * scale[s] * q - dmin * min[s]; `scales[s]` has the
// scale in its low nibble and the minimum in its high one. Each half of 128 has four runs of 32
// weights: run r lies in bits 2r of the half's 32 bytes of `q`.
struct BlockQ2_K {
  static constexpr size_t kElements = 256, kSubBlock = 16;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  uint8_t scales[16];
  uint8_t q[64];
  Half d;
  Half dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

// 256 weights in 16 sub-blocks of 16: w = d * (scale[s] - 32) * (q - 4). Low 2 bits as Q2_K; the
// third of weight i is bit i / 32 of `qh[i % 32]`. `scales` packs sixteen 6-bit scales: low nibbles
// of scales s and s + 8 in byte s, high 2 bits of scale s in bits 2 * (s / 4) of byte 8 + s % 4.
struct BlockQ3_K {
  static constexpr size_t kElements = 256, kSubBlock = 16;
  static constexpr int kZero = 4;
  static constexpr bool kMinimum = false;
  uint8_t qh[32];
  uint8_t q[64];
  uint8_t scales[12];
  Half d;
};
static_assert(sizeof(BlockQ3_K) == 110);

// 256 weights in 8 sub-blocks of 32: w = d * scale[s] * q - dmin * min[s]. `scales` packs eight
// 6-bit scales and eight 6-bit minima; `q` holds sub-blocks 2i and 2i + 1 in the low and high
// nibbles of bytes 32i to 32i + 31.
struct BlockQ4_K {
  static constexpr size_t kElements = 256, kSubBlock = 32;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  Half d;
  Half dmin;
  uint8_t scales[12];
  uint8_t q[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// As Q4_K with a fifth bit: of weight i of sub-block s it is bit s of `qh[i]`.
struct BlockQ5_K {
  static constexpr size_t kElements = 256, kSubBlock = 32;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  Half d;
  Half dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t q[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

// 256 weights in 16 sub-blocks of 16: w = d * scale[s] * (q - 32), with q's low 4 bits in `ql` and
// high 2 bits in `qh`.
struct BlockQ6_K {
  static constexpr size_t kElements = 256, kSubBlock = 16;
  static constexpr int kZero = 32;
  static constexpr bool kMinimum = false;
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  Half d;
};
static_assert(sizeof(BlockQ6_K) == 210);

// What the nibbles of IQ4_NL and IQ4_XS stand for.
constexpr int8_t kCodebookIQ4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};

// 32 weights: w = d * codebook[q], nibbles as Q4_0.
struct BlockIQ4_NL {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr bool kMinimum = false;
  Half d;
  uint8_t q[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// 256 weights in 8 sub-blocks of 32: w = d * (scale[s] - 32) * codebook[q]. Scales have 6 bits: low
// nibbles in `scales_low`, two a byte, high bits 2s of `scales_high`. Sub-block s has its nibbles
// in bytes 16s to 16s + 15 of `q`, as Q4_0.
struct BlockIQ4_XS {
  static constexpr size_t kElements = 256, kSubBlock = 32;
  static constexpr bool kMinimum = false;
  Half d;
  uint16_t scales_high;
  uint8_t scales_low[4];
  uint8_t q[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// Twice the numbers that four bits E2M1 stand for (OCP Microscaling Formats 1.0, 5.3.3).
constexpr int8_t kCodebookMXFP4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 32 weights: w = 2^(e - 128) * codebook[q], nibbles as Q4_0. (The standard makes e = 255 a NaN;
// GGUF's readers, and so do we, take it as any other exponent.)
struct BlockMXFP4 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr bool kMinimum = false;
  uint8_t e;
  uint8_t q[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// ---- of weights as MLX quantises them: w = d * q + m for groups of 32 and more. Where d and m are
// F16 and q has 4 bits, Q4_1 says the same. BF16 ones stay BF16: F16 would make those below 2^-17
// less exact and those from 2^16 on infinite ----

// 32 weights: w = d * q + m, where d and m are BF16, nibbles as Q4_0.
struct BlockMlx4 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  static constexpr bool kBrainScales = true;
  uint16_t d;
  uint16_t m;
  uint8_t q[16];
};
static_assert(sizeof(BlockMlx4) == 20);

// 32 weights: w = d * q + m, where d and m are BF16.
struct BlockMlx8 {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  static constexpr bool kBrainScales = true;
  uint16_t d;
  uint16_t m;
  uint8_t q[32];
};
static_assert(sizeof(BlockMlx8) == 36);

// 32 weights: w = d * q + m.
struct BlockMlx8Half {
  static constexpr size_t kElements = 32, kSubBlock = 32;
  static constexpr int kZero = 0;
  static constexpr bool kMinimum = true;
  Half d;
  Half m;
  uint8_t q[32];
};
static_assert(sizeof(BlockMlx8Half) == 36);

}  // namespace baton
