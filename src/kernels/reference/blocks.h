// Element access to the quantised blocks of tensor/blocks.h: what their bytes mean, in scalar code.
// Everything that packs or checks weights goes through here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/half.h"
#include "tensor/blocks.h"

namespace baton::kernels {

// Unsigned 4-bit value of weight i < 32.
inline uint8_t NibbleOf(const BlockQ4_0& block, size_t i) {
  return i < 16 ? block.q[i] & 15 : block.q[i - 16] >> 4;
}

// Unsigned 4-bit value of weight i < 32 of sub-block s < 8.
inline uint8_t NibbleOf(const BlockQ4_K& block, size_t s, size_t i) {
  const uint8_t pair = block.q[s / 2 * 32 + i];
  return s % 2 == 0 ? pair & 15 : pair >> 4;
}

struct ScaleAndMin {
  uint8_t scale;
  uint8_t min;
};

// Sub-blocks 0-3 have their 6 bits in bytes s and s + 4; sub-blocks 4-7 have the low 4 bits in byte
// s + 4 and the high 2 on top of bytes s - 4 and s.
inline ScaleAndMin ScaleAndMinOf(const BlockQ4_K& block, size_t s) {
  const uint8_t* b = block.scales;
  if (s < 4) return {static_cast<uint8_t>(b[s] & 63), static_cast<uint8_t>(b[s + 4] & 63)};
  return {static_cast<uint8_t>((b[s + 4] & 15) | (b[s - 4] >> 6 << 4)),
          static_cast<uint8_t>((b[s + 4] >> 4) | (b[s] >> 6 << 4))};
}

// Unsigned 6-bit value of weight i < 256. Each half of 128 has four runs of 32: their low nibbles
// lie in ql (runs 0 and 2, 1 and 3 share bytes), their high bit pairs in the four parts of qh.
inline uint8_t SixBitsOf(const BlockQ6_K& block, size_t i) {
  const size_t half = i / 128;
  const size_t run = i % 128 / 32;
  const size_t at = i % 32;
  const uint8_t pair = block.ql[half * 64 + run % 2 * 32 + at];
  const uint8_t low = run < 2 ? pair & 15 : pair >> 4;
  const uint8_t high = (block.qh[half * 32 + at] >> (2 * run)) & 3;
  return static_cast<uint8_t>(low | (high << 4));
}

}  // namespace baton::kernels
