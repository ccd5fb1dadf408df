// Sixteen lanes of AVX-512. Included by table.cc alone, inside its anonymous namespace: nothing
// here may have a symbol that another translation unit could pick up.

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
using Mask = __mmask16;

inline Mask FirstLanes(size_t n) {
  return static_cast<Mask>(n >= 16 ? 0xffff : (1u << n) - 1);
}

inline F32x16 Zero() {
  return {_mm512_setzero_ps()};
}
inline F32x16 Broadcast(float x) {
  return {_mm512_set1_ps(x)};
}
inline F32x16 Load(const float* from) {
  return {_mm512_loadu_ps(from)};
}
inline F32x16 Load(const float* from, Mask mask) {
  return {_mm512_maskz_loadu_ps(mask, from)};
}
inline void Store(F32x16 x, float* into) {
  _mm512_storeu_ps(into, x.v);
}
inline void Store(F32x16 x, float* into, Mask mask) {
  _mm512_mask_storeu_ps(into, mask, x.v);
}

inline F32x16 Add(F32x16 a, F32x16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline F32x16 Subtract(F32x16 a, F32x16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline F32x16 Times(F32x16 a, F32x16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline F32x16 Divide(F32x16 a, F32x16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
inline F32x16 Fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
// Where one is NaN, b.
inline F32x16 Max(F32x16 a, F32x16 b) {
  return {_mm512_max_ps(a.v, b.v)};
}
inline F32x16 Min(F32x16 a, F32x16 b) {
  return {_mm512_min_ps(a.v, b.v)};
}
inline F32x16 Negate(F32x16 x) {
  return {_mm512_castsi512_ps(
      _mm512_xor_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(INT32_MIN)))};
}
inline F32x16 Round(F32x16 x) {
  return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// x where the mask is set, else `otherwise`.
inline F32x16 Select(Mask mask, F32x16 x, F32x16 otherwise) {
  return {_mm512_mask_blend_ps(mask, otherwise.v, x.v)};
}
inline Mask Less(F32x16 a, F32x16 b) {
  return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ);
}
inline bool Any(Mask mask) {
  return mask != 0;
}
// x * 2^n for whole n; where the result is no normal number, anything but a NaN for a number.
inline F32x16 TimesPowerOfTwo(F32x16 x, F32x16 n) {
  return {_mm512_scalef_ps(x.v, n.v)};
}
// 2^n for whole n in [-126, 127].
inline F32x16 PowerOfTwo(F32x16 n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}

inline float Sum(F32x16 x) {
  __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
inline float Largest(F32x16 x) {
  return _mm512_reduce_max_ps(x.v);
}

inline F32x16 LoadHalf(const uint16_t* from) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}
inline F32x16 LoadBrains(const uint16_t* from) {
  const __m256i brains = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(brains), 16))};
}
inline F32x16 BroadcastHalf(uint16_t half) {
  return {_mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(half)))};
}
inline const uint16_t* HalvesAt(const uint8_t* at) {
  return reinterpret_cast<const uint16_t*>(at);
}
inline void StoreHalf(F32x16 x, uint16_t* into) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(into),
                      _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
// As ToBrainFactor() of half.h, 16 values as 8 pairs.
inline void StoreBrainFactors(F32x16 x, uint32_t* pairs) {
  const __m512i bits = _mm512_castps_si512(x.v);
  const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 nan = _mm512_cmpgt_epu32_mask(magnitude, _mm512_set1_epi32(0x7f800000));
  rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  const __mmask16 large = _mm512_cmpge_epu32_mask(magnitude, _mm512_set1_epi32(kBrainFactorMin));
  const __m512i factors = _mm512_maskz_srli_epi32(large, rounded, 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs), _mm512_cvtepi32_epi16(factors));
}
inline __m512i WidenU8(const uint8_t* from) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline F32x16 LoadU8(const uint8_t* from) {
  return {_mm512_cvtepi32_ps(WidenU8(from))};
}
inline F32x16 LoadS8(const uint8_t* from) {
  return {_mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))))};
}
// 2^(e - 128) of bytes e. (e - 1) << 23 is right from 2 on and smaller than the denormal below.
inline F32x16 LoadExponents(const uint8_t* from) {
  const __m512i e = WidenU8(from);
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23);
  const __m512i denormal = _mm512_sllv_epi32(_mm512_set1_epi32(1 << 21), _mm512_and_si512(e, one));
  return {_mm512_castsi512_ps(_mm512_max_epi32(normal, denormal))};
}

inline I32x16 BroadcastInt(int32_t x) {
  return {_mm512_set1_epi32(x)};
}
inline I32x16 Add(I32x16 a, I32x16 b) {
  return {_mm512_add_epi32(a.v, b.v)};
}
inline I32x16 Twice(I32x16 x) {
  return {_mm512_add_epi32(x.v, x.v)};
}
inline I32x16 Eighth(I32x16 x) {  // of multiples of eight
  return {_mm512_srai_epi32(x.v, 3)};
}
inline F32x16 ToFloat(I32x16 x) {
  return {_mm512_cvtepi32_ps(x.v)};
}

inline I32x16 LoadInts(const uint8_t* from) {
  return {_mm512_load_si512(from)};
}
inline void StoreInts(I32x16 x, uint8_t* into) {
  _mm512_store_si512(into, x.v);
}

// Of pairs (c, s): c and s twice each; and x with the elements of each pair exchanged.
inline F32x16 TwiceEven(F32x16 x) {
  return {_mm512_moveldup_ps(x.v)};
}
inline F32x16 TwiceOdd(F32x16 x) {
  return {_mm512_movehdup_ps(x.v)};
}
inline F32x16 SwapPairs(F32x16 x) {
  return {_mm512_permute_ps(x.v, 0xb1)};
}
inline F32x16 NegateEven(F32x16 x) {
  const __m512i signs = _mm512_set1_epi64(0x80000000);
  return {_mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x.v), signs))};
}

// Of 32 floats: the largest magnitude as bits (orders NaN above infinity above numbers).
inline uint32_t LargestMagnitude32(const float* x) {
  const __m512i mask = _mm512_set1_epi32(0x7fffffff);
  const __m512i a = _mm512_and_si512(_mm512_loadu_si512(x), mask);
  const __m512i b = _mm512_and_si512(_mm512_loadu_si512(x + 16), mask);
  return _mm512_reduce_max_epu32(_mm512_max_epu32(a, b));
}
// q[i] = round(x[i] * inverse) for 16 values within int8; returns their sum.
inline int32_t Quantize16(const float* x, float inverse, int8_t* q) {
  const __m512i rounded =
      _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(inverse)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(rounded));
  return _mm512_reduce_add_epi32(rounded);
}

inline void Prefetch(const void* at) {
  _mm_prefetch(static_cast<const char*>(at), _MM_HINT_T0);
}
inline void PrefetchToL2(const void* at) {
  _mm_prefetch(static_cast<const char*>(at), _MM_HINT_T1);
}
