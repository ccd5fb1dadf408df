// Dot products of pairs of BF16 with NEON: each pair's second product is added first, by a fused
// multiply-add (BFDOT rounds otherwise). Included by table.cc alone, inside its anonymous
// namespace.

// Sixteen rows' pairs, or one pair sixteen times: the second of each as floats, and the first.
struct BrainPairs {
  F32x16 second;
  F32x16 first;
};

inline float32x4_t SecondOf(uint32x4_t pairs) {
  return vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}
inline float32x4_t FirstOf(uint32x4_t pairs) {
  return vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
}

inline BrainPairs LoadPairs(const uint8_t* from) {
  const auto* pairs = reinterpret_cast<const uint32_t*>(from);
  const U32x16 x = {vld1q_u32(pairs), vld1q_u32(pairs + 4), vld1q_u32(pairs + 8),
                    vld1q_u32(pairs + 12)};
  return {{SecondOf(x.a), SecondOf(x.b), SecondOf(x.c), SecondOf(x.d)},
          {FirstOf(x.a), FirstOf(x.b), FirstOf(x.c), FirstOf(x.d)}};
}
inline BrainPairs BroadcastPair(uint32_t pair) {
  return {Broadcast(__builtin_bit_cast(float, pair & 0xffff0000)),
          Broadcast(__builtin_bit_cast(float, pair << 16))};
}
inline F32x16 DotPairs(const BrainPairs& x, const BrainPairs& y, F32x16 sum) {
  return Fma(x.first, y.first, Fma(x.second, y.second, sum));
}

inline float32x4_t RoundToBrain4(float32x4_t x) {
  return SecondOf(BrainBits4(vreinterpretq_u32_f32(x)));
}
// To the nearest BF16, ties to even.
inline F32x16 RoundToBrain(F32x16 x) {
  return {RoundToBrain4(x.a), RoundToBrain4(x.b), RoundToBrain4(x.c), RoundToBrain4(x.d)};
}

#include "kernels/cpu/brain_floats.h"

constexpr bool kWideRegisters = false;  // room for two panels of kTileTokens sums
