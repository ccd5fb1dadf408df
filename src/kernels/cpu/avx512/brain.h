// Dot products of pairs of BF16 with AVX-512 that has none of its own: each pair's second product
// is added first. Included by table.cc alone, inside its anonymous namespace.

// Sixteen rows' pairs, or one pair sixteen times: the second of each as floats, and the first.
struct BrainPairs {
  F32x16 second;
  F32x16 first;
};

inline BrainPairs SplitPairs(__m512i pairs) {
  return {{_mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))},
          {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))}};
}
inline BrainPairs LoadPairs(const uint8_t* from) {
  return SplitPairs(_mm512_load_si512(from));
}
inline BrainPairs BroadcastPair(uint32_t pair) {
  return SplitPairs(_mm512_set1_epi32(static_cast<int32_t>(pair)));
}
inline F32x16 DotPairs(const BrainPairs& a, const BrainPairs& b, F32x16 sum) {
  return Fma(a.first, b.first, Fma(a.second, b.second, sum));
}

// To the nearest BF16, ties to even.
inline F32x16 RoundToBrain(F32x16 x) {
  const __m512i bits = _mm512_castps_si512(x.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  return {_mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(-65536)))};
}

#include "kernels/cpu/brain_floats.h"

constexpr bool kWideRegisters = true;  // room for two panels of kTileTokens sums
