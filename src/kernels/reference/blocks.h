// Element access to the quantised blocks of tensor/blocks.h: what their bytes mean, in scalar code.
// Everything that packs or checks weights goes through here.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/half.h"
#include "tensor/blocks.h"

namespace baton::kernels {

// ---- QuantsOf: the unsigned integers q that the bits of weights 4g to 4g + 3 of a block spell, as
// the bytes of a word, first one lowest ----
// In every format these four lie in consecutive bytes, at the same bits.

template <int kBits>
uint32_t BitsOfBytes(const uint8_t* bytes, size_t shift) {
  uint32_t four = 0;
  for (size_t i = 0; i < 4; ++i) four |= static_cast<uint32_t>(bytes[i]) << (8 * i);
  return four >> shift & ((1u << kBits) - 1) * 0x01010101u;
}

// Of 32 nibbles in 16 bytes.
inline uint32_t NibblesOf(const uint8_t* bytes, size_t g) {
  return BitsOfBytes<4>(bytes + g % 4 * 4, g / 4 * 4);
}
// Fifth bits of 32 weights, which are consecutive bits.
inline uint32_t FifthBitsOf(const uint8_t* bits, size_t g) {
  const uint32_t four = bits[g / 2] >> (g % 2 * 4) & 15;
  return (four * 0x00204081u & 0x01010101u) << 4;  // bit i to bit 8i
}
// Of 256 weights in 64 bytes.
inline uint32_t TwoBitsOf(const uint8_t* bytes, size_t g) {
  return BitsOfBytes<2>(bytes + g / 32 * 32 + g % 8 * 4, g % 32 / 8 * 2);
}
// Of 256 nibbles in 128 bytes, sub-blocks of 32 in turns.
inline uint32_t TurningNibblesOf(const uint8_t* bytes, size_t g) {
  return BitsOfBytes<4>(bytes + g / 16 * 32 + g % 8 * 4, g % 16 / 8 * 4);
}
// Of 256 weights in 32 bytes.
inline uint32_t SingleBitsOf(const uint8_t* bytes, size_t g) {
  return BitsOfBytes<1>(bytes + g % 8 * 4, g / 8);
}

inline uint32_t QuantsOf(const BlockQ4_0& w, size_t g) {
  return NibblesOf(w.q, g);
}
inline uint32_t QuantsOf(const BlockQ4_1& w, size_t g) {
  return NibblesOf(w.q, g);
}
inline uint32_t QuantsOf(const BlockQ5_0& w, size_t g) {
  return NibblesOf(w.q, g) | FifthBitsOf(w.qh, g);
}
inline uint32_t QuantsOf(const BlockQ5_1& w, size_t g) {
  return NibblesOf(w.q, g) | FifthBitsOf(w.qh, g);
}
inline uint32_t QuantsOf(const BlockQ8_0& w, size_t g) {
  return BitsOfBytes<8>(reinterpret_cast<const uint8_t*>(w.q) + g * 4, 0) ^ 0x80808080u;
}
inline uint32_t QuantsOf(const BlockQ2_K& w, size_t g) {
  return TwoBitsOf(w.q, g);
}
inline uint32_t QuantsOf(const BlockQ3_K& w, size_t g) {
  return TwoBitsOf(w.q, g) | SingleBitsOf(w.qh, g) << 2;
}
inline uint32_t QuantsOf(const BlockQ4_K& w, size_t g) {
  return TurningNibblesOf(w.q, g);
}
inline uint32_t QuantsOf(const BlockQ5_K& w, size_t g) {
  return TurningNibblesOf(w.q, g) | SingleBitsOf(w.qh, g) << 4;
}
// Each half of 128 has four runs of 32: their low nibbles lie in ql (runs 0 and 2, 1 and 3 share
// bytes), their high bit pairs in the four parts of qh.
inline uint32_t QuantsOf(const BlockQ6_K& w, size_t g) {
  const uint32_t low = BitsOfBytes<4>(w.ql + g / 32 * 64 + g % 16 * 4, g % 32 / 16 * 4);
  return low | TwoBitsOf(w.qh, g) << 4;
}
inline uint32_t QuantsOf(const BlockIQ4_NL& w, size_t g) {
  return NibblesOf(w.q, g);
}
inline uint32_t QuantsOf(const BlockIQ4_XS& w, size_t g) {
  return NibblesOf(w.q + g / 8 * 16, g % 8);
}
inline uint32_t QuantsOf(const BlockMXFP4& w, size_t g) {
  return NibblesOf(w.q, g);
}
inline uint32_t QuantsOf(const BlockMlx4& w, size_t g) {
  return NibblesOf(w.q, g);
}
inline uint32_t QuantsOf(const BlockMlx8& w, size_t g) {
  return BitsOfBytes<8>(w.q + g * 4, 0);
}
inline uint32_t QuantsOf(const BlockMlx8Half& w, size_t g) {
  return BitsOfBytes<8>(w.q + g * 4, 0);
}

// Of weight i.
template <typename Block>
uint8_t QuantOf(const Block& w, size_t i) {
  return static_cast<uint8_t>(QuantsOf(w, i / 4) >> (i % 4 * 8));
}

// The integer that scales multiply.
template <typename Block>
constexpr int IntegerOf(uint8_t q) {
  if constexpr (std::is_same_v<Block, BlockIQ4_NL> || std::is_same_v<Block, BlockIQ4_XS>) {
    return kCodebookIQ4[q];
  } else if constexpr (std::is_same_v<Block, BlockMXFP4>) {
    return kCodebookMXFP4[q];
  } else {
    return q - Block::kZero;
  }
}

// ---- scales as the blocks store them, of sub-block s ----

struct ScaleAndMin {
  uint8_t scale;
  uint8_t min;
};

// Q4_K and Q5_K: sub-blocks 0-3 have their 6 bits in bytes s and s + 4; sub-blocks 4-7 have the low
// 4 bits in byte s + 4 and the high 2 on top of bytes s - 4 and s.
inline ScaleAndMin ScaleAndMinOf(const uint8_t (&b)[12], size_t s) {
  if (s < 4) return {static_cast<uint8_t>(b[s] & 63), static_cast<uint8_t>(b[s + 4] & 63)};
  return {static_cast<uint8_t>((b[s + 4] & 15) | (b[s - 4] >> 6 << 4)),
          static_cast<uint8_t>((b[s + 4] >> 4) | (b[s] >> 6 << 4))};
}

inline uint8_t ScaleOf(const BlockQ2_K& w, size_t s) {
  return w.scales[s] & 15;
}
inline uint8_t MinOf(const BlockQ2_K& w, size_t s) {
  return w.scales[s] >> 4;
}
inline int8_t ScaleOf(const BlockQ3_K& w, size_t s) {
  const int low = s < 8 ? w.scales[s] & 15 : w.scales[s - 8] >> 4;
  const int high = w.scales[8 + s % 4] >> (s / 4 * 2) & 3;
  return static_cast<int8_t>((low | high << 4) - 32);
}
inline int8_t ScaleOf(const BlockQ6_K& w, size_t s) {
  return w.scales[s];
}
inline int8_t ScaleOf(const BlockIQ4_XS& w, size_t s) {
  const int low = w.scales_low[s / 2] >> (s % 2 * 4) & 15;
  const int high = w.scales_high >> (2 * s) & 3;
  return static_cast<int8_t>((low | high << 4) - 32);
}

// 2^(e - 128), exact: below e = 2 a denormal.
inline float PowerOfExponent(uint8_t e) {
  const uint32_t bits = e < 2 ? 0x00200000u << e : (e - 1u) << 23;
  return std::bit_cast<float>(bits);
}

// ---- ScalingOf: w = scale * integer + minimum for sub-block s, as numbers ----

struct Scaling {
  float scale;
  float minimum = 0;  // where the type has one
};

template <typename Block>
concept OneHalf = requires(Block w) {
  w.d;
}
&&Block::kElements == 32;
template <typename Block>
concept SuperBlock = Block::kElements == 256;

// A scale or minimum of a block of 32.
template <typename Block>
float ScaleOfBits(uint16_t bits) {
  return requires {
    Block::kBrainScales;
  }
  ? FromBrain(bits) : FromHalf(bits);
}

template <OneHalf Block>
Scaling ScalingOf(const Block& w, size_t) {
  if constexpr (Block::kMinimum) return {ScaleOfBits<Block>(w.d), ScaleOfBits<Block>(w.m)};
  return {ScaleOfBits<Block>(w.d)};
}
inline Scaling ScalingOf(const BlockMXFP4& w, size_t) {
  return {PowerOfExponent(w.e)};
}
inline Scaling Scaled(Half d, int scale, Half dmin, int min) {
  return {FromHalf(d) * static_cast<float>(scale), -(FromHalf(dmin) * static_cast<float>(min))};
}
template <SuperBlock Block>
Scaling ScalingOf(const Block& w, size_t s) {
  return {FromHalf(w.d) * static_cast<float>(ScaleOf(w, s))};
}
inline Scaling ScalingOf(const BlockQ2_K& w, size_t s) {
  return Scaled(w.d, ScaleOf(w, s), w.dmin, MinOf(w, s));
}
inline Scaling ScalingOf(const BlockQ4_K& w, size_t s) {
  const auto [scale, min] = ScaleAndMinOf(w.scales, s);
  return Scaled(w.d, scale, w.dmin, min);
}
inline Scaling ScalingOf(const BlockQ5_K& w, size_t s) {
  const auto [scale, min] = ScaleAndMinOf(w.scales, s);
  return Scaled(w.d, scale, w.dmin, min);
}

// The weight as the format publishes it. Every product is exact, so there is one rounding at most.
template <typename Block>
float WeightOf(const Scaling& scaling, uint8_t q) {
  const float product = scaling.scale * static_cast<float>(IntegerOf<Block>(q));
  return Block::kMinimum ? product + scaling.minimum : product;
}

}  // namespace baton::kernels
