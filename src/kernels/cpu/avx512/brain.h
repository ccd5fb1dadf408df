// What attention asks of AVX-512 that has no BF16 of its own. Included by table.cc alone, inside
// its anonymous namespace.

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
