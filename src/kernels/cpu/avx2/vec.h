// Sixteen lanes as two AVX2 registers. Included by table.cc alone, inside its anonymous namespace:
// nothing here may have a symbol that another translation unit could pick up.

struct F32x16 {
  __m256 lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
struct Mask {
  __m256i lo, hi;  // all bits of a lane set or none
};

inline Mask FirstLanes(size_t n) {
  const __m256i count = _mm256_set1_epi32(static_cast<int>(n > 16 ? 16 : n));
  const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
  return {_mm256_cmpgt_epi32(count, low), _mm256_cmpgt_epi32(count, high)};
}

inline F32x16 Zero() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline F32x16 Broadcast(float x) {
  const __m256 both = _mm256_set1_ps(x);
  return {both, both};
}
inline F32x16 Load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
inline F32x16 Load(const float* from, Mask mask) {
  return {_mm256_maskload_ps(from, mask.lo), _mm256_maskload_ps(from + 8, mask.hi)};
}
inline void Store(F32x16 x, float* into) {
  _mm256_storeu_ps(into, x.lo);
  _mm256_storeu_ps(into + 8, x.hi);
}
inline void Store(F32x16 x, float* into, Mask mask) {
  _mm256_maskstore_ps(into, mask.lo, x.lo);
  _mm256_maskstore_ps(into + 8, mask.hi, x.hi);
}

inline F32x16 Add(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline F32x16 Subtract(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline F32x16 Times(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline F32x16 Divide(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline F32x16 Fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
// Where one is NaN, b.
inline F32x16 Max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline F32x16 Min(F32x16 a, F32x16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline F32x16 Negate(F32x16 x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_xor_ps(x.lo, sign), _mm256_xor_ps(x.hi, sign)};
}
inline F32x16 Round(F32x16 x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.lo, kMode), _mm256_round_ps(x.hi, kMode)};
}
// x where the mask is set, else `otherwise`.
inline F32x16 Select(Mask mask, F32x16 x, F32x16 otherwise) {
  return {_mm256_blendv_ps(otherwise.lo, x.lo, _mm256_castsi256_ps(mask.lo)),
          _mm256_blendv_ps(otherwise.hi, x.hi, _mm256_castsi256_ps(mask.hi))};
}
inline Mask Less(F32x16 a, F32x16 b) {
  return {_mm256_castps_si256(_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_castps_si256(_mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
inline bool Any(Mask mask) {
  const __m256i either = _mm256_or_si256(mask.lo, mask.hi);
  return _mm256_testz_si256(either, either) == 0;
}
inline __m256 PowerOfTwo8(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
// 2^n for whole n in [-126, 127].
inline F32x16 PowerOfTwo(F32x16 n) {
  return {PowerOfTwo8(n.lo), PowerOfTwo8(n.hi)};
}
// x * 2^n for whole n; where the result is no normal number, anything but a NaN for a number.
inline F32x16 TimesPowerOfTwo(F32x16 x, F32x16 n) {
  return Times(x, PowerOfTwo(n));
}

inline float Sum(F32x16 x) {
  const __m256 a = _mm256_add_ps(x.lo, x.hi);
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
inline float Largest(F32x16 x) {
  const __m256 a = _mm256_max_ps(x.lo, x.hi);
  __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

inline __m128i Load128(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
inline F32x16 LoadHalf(const uint16_t* from) {
  return {_mm256_cvtph_ps(Load128(from)), _mm256_cvtph_ps(Load128(from + 8))};
}
inline __m256 LoadBrains8(const uint16_t* from) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(Load128(from)), 16));
}
inline F32x16 LoadBrains(const uint16_t* from) {
  return {LoadBrains8(from), LoadBrains8(from + 8)};
}
inline F32x16 BroadcastHalf(uint16_t half) {
  const __m256 x = _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
  return {x, x};
}
inline const uint16_t* HalvesAt(const uint8_t* at) {
  return reinterpret_cast<const uint16_t*>(at);
}
inline void StoreHalf(F32x16 x, uint16_t* into) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(into), _mm256_cvtps_ph(x.lo, kMode));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(into + 8), _mm256_cvtps_ph(x.hi, kMode));
}
// As ToBrainFactor() of half.h, in the low 16 bits of each lane.
inline __m256i BrainFactors8(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));
  const __m256i large = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(kBrainFactorMin - 1));
  const __m256i chosen = _mm256_and_si256(_mm256_blendv_epi8(rounded, quiet, nan), large);
  return _mm256_srli_epi32(chosen, 16);
}
// 16 values as 8 pairs.
inline void StoreBrainFactors(F32x16 x, uint32_t* pairs) {
  const __m256i packed = _mm256_packus_epi32(BrainFactors8(x.lo), BrainFactors8(x.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs),
                      _mm256_permute4x64_epi64(packed, 0b11'01'10'00));
}
inline F32x16 ToFloat(I32x16 x) {
  return {_mm256_cvtepi32_ps(x.lo), _mm256_cvtepi32_ps(x.hi)};
}
inline I32x16 WidenU8(const uint8_t* from) {
  const __m128i bytes = Load128(from);
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
inline F32x16 LoadU8(const uint8_t* from) {
  return ToFloat(WidenU8(from));
}
inline __m256 PowersOfExponents(__m256i e) {
  const __m256i one = _mm256_set1_epi32(1);
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
  const __m256i denormal = _mm256_sllv_epi32(_mm256_set1_epi32(1 << 21), _mm256_and_si256(e, one));
  return _mm256_castsi256_ps(_mm256_max_epi32(normal, denormal));
}
// 2^(e - 128) of bytes e. (e - 1) << 23 is right from 2 on and smaller than the denormal below.
inline F32x16 LoadExponents(const uint8_t* from) {
  const I32x16 e = WidenU8(from);
  return {PowersOfExponents(e.lo), PowersOfExponents(e.hi)};
}
inline F32x16 LoadS8(const uint8_t* from) {
  const __m128i bytes = Load128(from);
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline I32x16 LoadInts(const uint8_t* from) {
  const auto* at = reinterpret_cast<const __m256i*>(from);
  return {_mm256_load_si256(at), _mm256_load_si256(at + 1)};
}
inline void StoreInts(I32x16 x, uint8_t* into) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(into), x.lo);
  _mm256_store_si256(reinterpret_cast<__m256i*>(into + 32), x.hi);
}

inline I32x16 BroadcastInt(int32_t x) {
  const __m256i both = _mm256_set1_epi32(x);
  return {both, both};
}
inline I32x16 Twice(I32x16 x) {
  return {_mm256_add_epi32(x.lo, x.lo), _mm256_add_epi32(x.hi, x.hi)};
}
inline I32x16 Eighth(I32x16 x) {  // of multiples of eight
  return {_mm256_srai_epi32(x.lo, 3), _mm256_srai_epi32(x.hi, 3)};
}

// Of pairs (c, s): c and s twice each; and x with the elements of each pair exchanged.
inline F32x16 TwiceEven(F32x16 x) {
  return {_mm256_moveldup_ps(x.lo), _mm256_moveldup_ps(x.hi)};
}
inline F32x16 TwiceOdd(F32x16 x) {
  return {_mm256_movehdup_ps(x.lo), _mm256_movehdup_ps(x.hi)};
}
inline F32x16 SwapPairs(F32x16 x) {
  return {_mm256_permute_ps(x.lo, 0xb1), _mm256_permute_ps(x.hi, 0xb1)};
}
inline F32x16 NegateEven(F32x16 x) {
  const __m256 signs = _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000));
  return {_mm256_xor_ps(x.lo, signs), _mm256_xor_ps(x.hi, signs)};
}

inline __m256i MagnitudeBits(const float* x) {
  return _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)),
                          _mm256_set1_epi32(0x7fffffff));
}
// Of 32 floats: the largest magnitude as bits (orders NaN above infinity above numbers).
inline uint32_t LargestMagnitude32(const float* x) {
  const __m256i a = _mm256_max_epu32(MagnitudeBits(x), MagnitudeBits(x + 8));
  const __m256i b = _mm256_max_epu32(MagnitudeBits(x + 16), MagnitudeBits(x + 24));
  const __m256i c = _mm256_max_epu32(a, b);
  __m128i d = _mm_max_epu32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
  d = _mm_max_epu32(d, _mm_srli_si128(d, 8));
  d = _mm_max_epu32(d, _mm_srli_si128(d, 4));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(d));
}
inline __m256i Rounded8(const float* x, __m256 inverse) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
}
// q[i] = round(x[i] * inverse) for 16 values within int8; returns their sum.
inline int32_t Quantize16(const float* x, float inverse, int8_t* q) {
  const __m256i a = Rounded8(x, _mm256_set1_ps(inverse));
  const __m256i b = Rounded8(x + 8, _mm256_set1_ps(inverse));
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), bytes);
  const __m256i sums = _mm256_add_epi32(a, b);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  sum = _mm_add_epi32(sum, _mm_srli_si128(sum, 8));
  sum = _mm_add_epi32(sum, _mm_srli_si128(sum, 4));
  return _mm_cvtsi128_si32(sum);
}

inline void Prefetch(const void* at) {
  _mm_prefetch(static_cast<const char*>(at), _MM_HINT_T0);
}
inline void PrefetchToL2(const void* at) {
  _mm_prefetch(static_cast<const char*>(at), _MM_HINT_T1);
}
