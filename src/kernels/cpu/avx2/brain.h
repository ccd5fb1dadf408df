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

constexpr bool kWideRegisters = false;  // room for two panels of kTileTokens sums
