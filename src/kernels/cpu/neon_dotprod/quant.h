// Integer dot products of one block with NEON that has an instruction for four bytes: over dot.h.
// Included by table.cc alone, inside its anonymous namespace. Weights are unsigned, activations
// signed; the caller starts `dot` at the offset that makes up for it, so the sums are exact.

template <int kLane>
inline I32x16 AddDots(I32x16 sums, const Bytes& weights, int8x16_t x) {
  return {AddDots<kLane>(sums.a, weights.a, x), AddDots<kLane>(sums.b, weights.b, x),
          AddDots<kLane>(sums.c, weights.c, x), AddDots<kLane>(sums.d, weights.d, x)};
}

// Group kLane of the four from `begin` on; x[t] are token t's 16 activations of all four.
template <int kLane, size_t kTokens, typename From>
inline void DotGroup(const From& from, size_t begin, const int8x16_t* x, I32x16* dot) {
  const Bytes weights = from.Group(begin + kLane);
#pragma GCC unroll 4
  for (size_t t = 0; t < kTokens; ++t) dot[t] = AddDots<kLane>(dot[t], weights, x[t]);
}

constexpr bool kFewBitsAreFast = false;  // whether products of small integers are cheaper
constexpr size_t kPanelsOfSums = 0;      // no products of sums

// dot[0][t] += the weights of groups [kFirst, kFirst + kCount), times those of token t.
template <size_t kFirst, size_t kCount, typename From, size_t kTokens>
inline void DotGroups(const From (&from)[1], const OperandBlock* x, I32x16 (&dot)[1][kTokens]) {
  static_assert(kFirst % 4 == 0 && kCount % 4 == 0);
#pragma GCC unroll 2
  for (size_t begin = kFirst; begin < kFirst + kCount; begin += 4) {
    int8x16_t q[kTokens];
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) q[t] = vld1q_s8(x[t].q + 4 * begin);
    DotGroup<0, kTokens>(from[0], begin, q, dot[0]);
    DotGroup<1, kTokens>(from[0], begin, q, dot[0]);
    DotGroup<2, kTokens>(from[0], begin, q, dot[0]);
    DotGroup<3, kTokens>(from[0], begin, q, dot[0]);
  }
}

inline int64_t PeakInt8(size_t iterations) {
  int32x4_t sums[16];  // all different, or the compiler computes one
  for (size_t i = 0; i < 16; ++i) sums[i] = vdupq_n_s32(static_cast<int32_t>(i));
  const uint8x16_t a = vdupq_n_u8(static_cast<uint8_t>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (int32x4_t& sum : sums) sum = AddDots<0>(sum, a, vreinterpretq_s8_u8(a));
  }
  int64_t total = 0;
  for (const int32x4_t sum : sums) total += vaddvq_s32(sum);
  return total;
}
constexpr size_t kPeakInt8Ops = 16 * 32;
