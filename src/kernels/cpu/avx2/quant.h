// Integer dot products of one block with AVX2. Included by table.cc alone, inside its anonymous
// namespace. vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits and
// saturates: every use below states why its sums fit, so the results are exact.

inline __m256i FourOf(const int8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm256_set1_epi32(four);
}
inline __m256i Load256(const uint8_t* from) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
}
inline __m256i AddPairs(__m256i dot, __m256i words) {
  return _mm256_add_epi32(dot, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
}

// Bytes are q + 128 and are brought back to q first.
inline I32x16 StartOfBytes(const OperandBlock&) {
  return BroadcastInt(0);
}

// |q| <= 128 and |x| <= 127, so two products stay below 2^15.
inline __m256i DotSigned(__m256i dot, __m256i weights, __m256i x) {
  const __m256i magnitudes = _mm256_abs_epi8(weights);
  return AddPairs(dot, _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(x, weights)));
}

template <size_t kTokens>
inline void DotBytes(const uint8_t* weights, const OperandBlock* x, I32x16* dot) {
  const __m256i offset = _mm256_set1_epi8(-128);
  for (size_t g = 0; g < 8; ++g) {
    const __m256i lo = _mm256_xor_si256(Load256(weights + g * 64), offset);
    const __m256i hi = _mm256_xor_si256(Load256(weights + g * 64 + 32), offset);
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      const __m256i four = FourOf(x[t].q + 4 * g);
      dot[t].lo = DotSigned(dot[t].lo, lo, four);
      dot[t].hi = DotSigned(dot[t].hi, hi, four);
    }
  }
}

// Adds both nibbles of one group as 16-bit sums: at most 4 x 15 x 127.
inline __m256i NibbleProducts(__m256i pairs, __m256i low_x, __m256i high_x) {
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i low = _mm256_and_si256(pairs, mask);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), mask);
  return _mm256_add_epi16(_mm256_maddubs_epi16(low, low_x), _mm256_maddubs_epi16(high, high_x));
}

// The 16-bit sums of all four groups stay below 16 x 15 x 127 = 30480.
template <size_t kTokens>
inline void DotNibbles(const uint8_t* weights, const OperandBlock* x, I32x16* dot) {
  I32x16 words[kTokens];
  for (size_t t = 0; t < kTokens; ++t) words[t] = BroadcastInt(0);
#pragma GCC unroll 4
  for (size_t g = 0; g < 4; ++g) {
    const __m256i lo = Load256(weights + g * 64);
    const __m256i hi = Load256(weights + g * 64 + 32);
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      const __m256i low_x = FourOf(x[t].q + 4 * g);
      const __m256i high_x = FourOf(x[t].q + 16 + 4 * g);
      words[t].lo = _mm256_add_epi16(words[t].lo, NibbleProducts(lo, low_x, high_x));
      words[t].hi = _mm256_add_epi16(words[t].hi, NibbleProducts(hi, low_x, high_x));
    }
  }
#pragma GCC unroll 4
  for (size_t t = 0; t < kTokens; ++t) {
    dot[t].lo = AddPairs(dot[t].lo, words[t].lo);
    dot[t].hi = AddPairs(dot[t].hi, words[t].hi);
  }
}

// Six-bit weights of group g of a half from its nibbles (already shifted down) and two bits.
inline __m256i JoinSixBits(__m256i low, __m256i two_bits, size_t g) {
  const __m256i high = _mm256_and_si256(
      _mm256_srl_epi16(two_bits, _mm_cvtsi32_si128(static_cast<int>(2 * g))), _mm256_set1_epi8(3));
  return _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(15)), _mm256_slli_epi16(high, 4));
}

// Half kHalf (16 weights) of a block of 6-bit weights. Two products stay below 2 x 63 x 127.
template <size_t kTokens, size_t kHalf>
inline void DotSixBits(const uint8_t* nibbles, const uint8_t* high, const OperandBlock* x,
                       I32x16* dot) {
  for (size_t g = 0; g < 4; ++g) {
    __m256i lo = Load256(nibbles + g * 64);
    __m256i hi = Load256(nibbles + g * 64 + 32);
    if (kHalf == 1) lo = _mm256_srli_epi16(lo, 4), hi = _mm256_srli_epi16(hi, 4);
    lo = JoinSixBits(lo, Load256(high + kHalf * 64), g);
    hi = JoinSixBits(hi, Load256(high + kHalf * 64 + 32), g);
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      const __m256i four = FourOf(x[t].q + 4 * g + 16 * kHalf);
      dot[t].lo = AddPairs(dot[t].lo, _mm256_maddubs_epi16(lo, four));
      dot[t].hi = AddPairs(dot[t].hi, _mm256_maddubs_epi16(hi, four));
    }
  }
}

inline int64_t PeakInt8(size_t iterations) {
  __m256i sums[8];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  const __m256i a = _mm256_set1_epi8(static_cast<char>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 8
    for (__m256i& sum : sums) sum = AddPairs(sum, _mm256_maddubs_epi16(a, sum));
  }
  int64_t total = 0;
  for (const __m256i& sum : sums) total += _mm256_extract_epi32(sum, 0);
  return total;
}

inline float PeakFused(size_t iterations) {
  __m256 sums[10];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  const __m256 a = _mm256_set1_ps(0.5f + 1e-9f * static_cast<float>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 10
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, a, a);
  }
  float total = 0;
  for (const __m256& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}

inline uint64_t PeakRead(const uint8_t* bytes, size_t count) {
  __m256i sums[4];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (size_t i = 0; i < count; i += 128) {
    Prefetch(bytes + i + 4096);
    Prefetch(bytes + i + 4096 + 64);
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; ++j) {
      const auto* at = reinterpret_cast<const __m256i*>(bytes + i + j * 32);
      sums[j] = _mm256_xor_si256(sums[j], _mm256_loadu_si256(at));
    }
  }
  const __m256i all =
      _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(all, 0) ^ _mm256_extract_epi64(all, 3));
}

constexpr size_t kTileTokens = 4;
constexpr size_t kAttentionRows = 2;
constexpr size_t kVectors = 2;  // of 16 lanes beside kAttentionRows rows
constexpr size_t kPeakInt8Ops = 8 * 64;
constexpr size_t kPeakFusedOps = 10 * 16;
