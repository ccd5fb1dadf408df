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
