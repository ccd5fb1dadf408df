// What attention asks of AVX512_BF16, which adds each pair's second product first (Intel's Software
// Developer's Manual, VDPBF16PS; the same on AMD). Included by table.cc alone, inside its anonymous
// namespace.

constexpr size_t kPairBytes = 64;
constexpr size_t kParts = 1;

using FactorPair = uint32_t;
struct PairPart {
  __m512i v;
};

inline PairPart LoadPart(const uint8_t* at, size_t) {
  return {_mm512_load_si512(at)};
}
inline PairPart BroadcastPart(const FactorPair& x, size_t) {
  return {_mm512_set1_epi32(static_cast<int32_t>(x))};
}
inline F32x16 AddProduct(PairPart a, PairPart b, F32x16 sum) {
  return {_mm512_dpbf16_ps(sum.v, __builtin_bit_cast(__m512bh, a.v),
                           __builtin_bit_cast(__m512bh, b.v))};
}
// Of values that are zero or at least 2^-50.
inline void StorePairs(F32x16 first, F32x16 second, uint8_t* at) {
  alignas(64) static constexpr uint16_t kInterleave[32] = {
      0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const auto rounded = __builtin_bit_cast(__m512i, _mm512_cvtne2ps_pbh(second.v, first.v));
  _mm512_store_si512(at, _mm512_permutexvar_epi16(_mm512_load_si512(kInterleave), rounded));
}
// The same; returns them rounded.
inline F32x16 StoreFactors(F32x16 x, FactorPair* into) {
  const auto rounded = __builtin_bit_cast(__m256i, _mm512_cvtneps_pbh(x.v));
  _mm256_store_si256(reinterpret_cast<__m256i*>(into), rounded);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16))};
}
// As ToBrainFactor() of half.h.
inline void StoreQueryFactors(F32x16 x, FactorPair* into) {
  StoreBrainFactors(x, into);
}

constexpr bool kWideRegisters = true;  // room for two panels of kTileTokens sums
