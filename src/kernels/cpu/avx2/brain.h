// Dot products of pairs of BF16 with AVX2: each pair's second product is added first. Included by
// table.cc alone, inside its anonymous namespace.

// Sixteen rows' pairs, or one pair sixteen times: the second of each as floats, and the first.
struct BrainPairs {
  F32x16 second;
  F32x16 first;
};

inline __m256 SecondOf(__m256i pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
}
inline __m256 FirstOf(__m256i pairs) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

inline BrainPairs LoadPairs(const uint8_t* from) {
  const __m256i lo = _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
  const __m256i hi = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + 32));
  return {{SecondOf(lo), SecondOf(hi)}, {FirstOf(lo), FirstOf(hi)}};
}
inline BrainPairs BroadcastPair(uint32_t pair) {
  const __m256i pairs = _mm256_set1_epi32(static_cast<int32_t>(pair));
  return {{SecondOf(pairs), SecondOf(pairs)}, {FirstOf(pairs), FirstOf(pairs)}};
}
inline F32x16 DotPairs(const BrainPairs& a, const BrainPairs& b, F32x16 sum) {
  return Fma(a.first, b.first, Fma(a.second, b.second, sum));
}

inline __m256 RoundToBrain8(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const __m256 chosen =
      _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan);
  return _mm256_and_ps(chosen, _mm256_castsi256_ps(_mm256_set1_epi32(-65536)));
}
// To the nearest BF16, ties to even.
inline F32x16 RoundToBrain(F32x16 x) {
  return {RoundToBrain8(x.lo), RoundToBrain8(x.hi)};
}

#include "kernels/cpu/brain_floats.h"

constexpr bool kWideRegisters = false;  // room for two panels of kTileTokens sums
