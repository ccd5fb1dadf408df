// The quantised block layouts as GGUF stores them, byte for byte. Source: the GGUF specification
// and ggml's public block definitions; kernels/reference holds the arithmetic.
#pragma once

#include <cstdint>

namespace baton {

using Half = uint16_t;  // IEEE 754 binary16 bits

// 32 weights: w = d * (q - 8). Byte j holds weight j in its low nibble, j + 16 in its high one.
struct BlockQ4_0 {
  Half d;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// 32 weights: w = d * q.
struct BlockQ8_0 {
  Half d;
  int8_t q[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// 256 weights in 8 sub-blocks of 32: w = d * scale[s] * q - dmin * min[s]. `scales` packs eight
// 6-bit scales and eight 6-bit minima; `q` holds sub-blocks 2i and 2i + 1 in the low and high
// nibbles of bytes 32i to 32i + 31.
struct BlockQ4_K {
  Half d;
  Half dmin;
  uint8_t scales[12];
  uint8_t q[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// 256 weights in 16 sub-blocks of 16: w = d * scale[s] * (q - 32), with q's low 4 bits in `ql` and
// high 2 bits in `qh`.
struct BlockQ6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  Half d;
};
static_assert(sizeof(BlockQ6_K) == 210);

}  // namespace baton
