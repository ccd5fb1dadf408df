// Dot products of pairs of BF16 with AVX512_BF16, which adds each pair's second product first
// (Intel's Software Developer's Manual, VDPBF16PS; the same on AMD). Included by table.cc alone,
// inside its anonymous namespace.

// Sixteen rows' pairs, or one pair sixteen times.
struct BrainPairs {
  __m512i v;
};

inline BrainPairs LoadPairs(const uint8_t* from) {
  return {_mm512_load_si512(from)};
}
inline BrainPairs BroadcastPair(uint32_t pair) {
  return {_mm512_set1_epi32(static_cast<int32_t>(pair))};
}
inline F32x16 DotPairs(const BrainPairs& a, const BrainPairs& b, F32x16 sum) {
  return {_mm512_dpbf16_ps(sum.v, __builtin_bit_cast(__m512bh, a.v),
                           __builtin_bit_cast(__m512bh, b.v))};
}
