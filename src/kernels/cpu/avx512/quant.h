// Integer dot products of one block with AVX-512 VNNI. Included by table.cc alone, inside its
// anonymous namespace. Weights are unsigned, activations signed; the caller starts `dot` at the
// offset that makes up for it, so the sums are exact.

inline __m512i FourOf(const int8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm512_set1_epi32(four);
}

// 16 rows x 4 bytes.
struct Bytes {
  __m512i v;
};
inline Bytes LoadBytes(const uint8_t* from) {
  return {_mm512_load_si512(from)};
}
// Of words of two bytes: what crosses from one to the other is for the caller to mask.
inline Bytes ShiftRight(Bytes x, size_t bits) {
  return {bits == 0 ? x.v : _mm512_srli_epi16(x.v, static_cast<unsigned>(bits))};
}
inline Bytes ShiftLeft(Bytes x, size_t bits) {
  return {_mm512_slli_epi16(x.v, static_cast<unsigned>(bits))};
}
inline Bytes And(Bytes x, uint8_t mask) {
  return {_mm512_and_si512(x.v, _mm512_set1_epi8(static_cast<char>(mask)))};
}
// (low & mask) | high.
inline Bytes Join(Bytes low, uint8_t mask, Bytes high) {
  return {_mm512_ternarylogic_epi32(low.v, _mm512_set1_epi8(static_cast<char>(mask)), high.v,
                                    (0xf0 & 0xcc) | 0xaa)};
}
inline Bytes LoadTable(const int8_t (&table)[16], int offset) {
  const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return {
      _mm512_add_epi8(_mm512_broadcast_i32x4(values), _mm512_set1_epi8(static_cast<char>(offset)))};
}
// Bytes of `table` by indices below 16.
inline Bytes LookUp(Bytes table, Bytes index) {
  return {_mm512_shuffle_epi8(table.v, index.v)};
}

// Bytes are q + 128.
inline I32x16 StartOfBytes(const OperandBlock& x) {
  return BroadcastInt(x.offset128);
}
// Bytes are q.
inline I32x16 StartOfUnsignedBytes(const OperandBlock&) {
  return BroadcastInt(0);
}

// A group's bytes as products take them, here and in memory: as they are.
template <int>
using Factors = Bytes;
template <int>
constexpr size_t kFactorBytes = 64;
template <int>
inline Bytes FactorsOf(Bytes x) {
  return x;
}
template <int>
inline Bytes LoadFactors(const uint8_t* from) {
  return LoadBytes(from);
}
template <int>
inline void StoreFactors(Bytes x, uint8_t* into) {
  _mm512_store_si512(into, x.v);
}

// ---- scales that are small: integers, with upper halves of zero ----

inline I32x16 ScalesOfNibbles(const uint8_t* from) {
  return {_mm512_and_si512(WidenU8(from), _mm512_set1_epi32(15))};
}
inline I32x16 ScalesOfBytes(const uint8_t* from) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return {_mm512_cvtepu16_epi32(_mm256_cvtepi8_epi16(bytes))};
}
// dot * scale + sum, where |dot| < 2^15.
inline I32x16 MultiplyAdd(I32x16 dot, I32x16 scale, I32x16 sum) {
  return {_mm512_dpwssd_epi32(sum.v, dot.v, scale.v)};
}

// Of both halves of a block of 32: the high nibbles of 2 x 16 bytes, 16 bits each.
inline I32x16 MinimaOfNibbles(const uint8_t* from) {
  const __m512i both = _mm512_or_si512(WidenU8(from), _mm512_slli_epi32(WidenU8(from + 16), 16));
  return {_mm512_srli_epi16(both, 4)};
}
// sum - the sums of both halves of x times their minima.
inline I32x16 SubtractMinima(I32x16 sum, I32x16 minima, const OperandBlock& x) {
  int64_t offsets;  // -32 times each sum
  __builtin_memcpy(&offsets, x.offset32, sizeof(offsets));
  const __m512i words = _mm512_srai_epi32(_mm512_set1_epi64(offsets), 5);
  const __m512i pairs = _mm512_shuffle_epi8(words, _mm512_set1_epi32(0x05040100));
  return {_mm512_dpwssd_epi32(sum.v, minima.v, pairs)};
}

// Whether bytes are multiplied by their scales as blocks are prepared.
constexpr bool kBytesTakeScales = true;
// (x - kZero) * scale + 31 * kZero, which is a byte.
template <int kZero>
inline Bytes ScaleBytes(Bytes x, I32x16 scale) {
  const __m512i scales = _mm512_or_si512(scale.v, _mm512_slli_epi32(scale.v, 16));
  if constexpr (kZero == 0) return {_mm512_mullo_epi16(x.v, scales)};  // no byte overflows
  const __m512i low = _mm512_set1_epi16(0xff);
  const __m512i even = _mm512_mullo_epi16(_mm512_and_si512(x.v, low), scales);
  const __m512i odd = _mm512_mullo_epi16(_mm512_andnot_si512(low, x.v), scales);
  const __m512i products = _mm512_ternarylogic_epi32(even, low, odd, (0xf0 & 0xcc) | 0xaa);
  const __m512i less =
      _mm512_mullo_epi16(_mm512_sub_epi16(scales, _mm512_set1_epi16(31)), _mm512_set1_epi16(kZero));
  const __m512i bytes = _mm512_shuffle_epi8(
      less, _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0c0c0c08080808, 0x0404040400000000)));
  return {_mm512_sub_epi8(products, bytes)};
}

constexpr bool kFewBitsAreFast = false;  // whether products of small integers are cheaper

// dot[p][t] += the weights of groups [kFirst, kFirst + kCount) of panel p, times those of token t.
// Panels share each broadcast.
template <size_t kFirst, size_t kCount, typename From, size_t kSideBySide, size_t kTokens>
inline void DotGroups(const From (&from)[kSideBySide], const OperandBlock* x,
                      I32x16 (&dot)[kSideBySide][kTokens]) {
#pragma GCC unroll 8
  for (size_t g = kFirst; g < kFirst + kCount; ++g) {
    Bytes weights[kSideBySide];
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) weights[p] = from[p].Group(g);
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      const __m512i four = FourOf(x[t].q + 4 * g);
#pragma GCC unroll 2
      for (size_t p = 0; p < kSideBySide; ++p)
        dot[p][t].v = _mm512_dpbusd_epi32(dot[p][t].v, weights[p].v, four);
    }
  }
}

inline int64_t PeakInt8(size_t iterations) {
  __m512i sums[12];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  const __m512i a = _mm512_set1_epi8(static_cast<char>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, a);
  }
  int64_t total = 0;
  for (const __m512i& sum : sums) total += _mm512_reduce_add_epi32(sum);
  return total;
}

inline float PeakFused(size_t iterations) {
  __m512 sums[12];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  const __m512 a = _mm512_set1_ps(0.5f + 1e-9f * static_cast<float>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, a, a);
  }
  float total = 0;
  for (const __m512& sum : sums) total += _mm512_reduce_add_ps(sum);
  return total;
}

inline uint64_t PeakRead(const uint8_t* bytes, size_t count) {
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  for (size_t i = 0; i < count; i += 256) {
#pragma GCC unroll 4
    for (size_t j = 0; j < 256; j += 64) PrefetchToL2(bytes + i + j + 1024);
    a = _mm512_xor_si512(a, _mm512_loadu_si512(bytes + i));
    b = _mm512_xor_si512(b, _mm512_loadu_si512(bytes + i + 64));
    c = _mm512_xor_si512(c, _mm512_loadu_si512(bytes + i + 128));
    d = _mm512_xor_si512(d, _mm512_loadu_si512(bytes + i + 192));
  }
  const __m512i all = _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
  return static_cast<uint64_t>(_mm512_reduce_or_epi64(all));
}

constexpr size_t kTileTokens = 12;
constexpr size_t kAttentionRows = 6;
constexpr size_t kVectors = 4;  // of 16 lanes beside kAttentionRows rows
constexpr size_t kPeakInt8Ops = 12 * 128;
constexpr size_t kPeakFusedOps = 12 * 32;
