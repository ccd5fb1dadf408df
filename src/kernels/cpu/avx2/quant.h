// Integer dot products of one block with AVX2. Included by table.cc alone, inside its anonymous
// namespace. vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits and
// saturates: every use below states why its sums fit, so the results are exact.

inline __m256i FourOf(const int8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm256_set1_epi32(four);
}
inline __m256i AddPairs(__m256i dot, __m256i words) {
  return _mm256_add_epi32(dot, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
}

// 16 rows x 4 bytes.
struct Bytes {
  __m256i lo, hi;
};
inline Bytes LoadBytes(const uint8_t* from) {
  const auto* at = reinterpret_cast<const __m256i*>(from);
  return {_mm256_load_si256(at), _mm256_load_si256(at + 1)};
}
// Of words of two bytes: what crosses from one to the other is for the caller to mask.
inline Bytes ShiftRight(Bytes x, size_t bits) {
  if (bits == 0) return x;
  return {_mm256_srli_epi16(x.lo, static_cast<int>(bits)),
          _mm256_srli_epi16(x.hi, static_cast<int>(bits))};
}
inline Bytes ShiftLeft(Bytes x, size_t bits) {
  return {_mm256_slli_epi16(x.lo, static_cast<int>(bits)),
          _mm256_slli_epi16(x.hi, static_cast<int>(bits))};
}
inline Bytes And(Bytes x, uint8_t mask) {
  const __m256i bits = _mm256_set1_epi8(static_cast<char>(mask));
  return {_mm256_and_si256(x.lo, bits), _mm256_and_si256(x.hi, bits)};
}
// (low & mask) | high.
inline Bytes Join(Bytes low, uint8_t mask, Bytes high) {
  const Bytes bits = And(low, mask);
  return {_mm256_or_si256(bits.lo, high.lo), _mm256_or_si256(bits.hi, high.hi)};
}
inline Bytes LoadTable(const int8_t (&table)[16], int offset) {
  const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  const __m256i both = _mm256_add_epi8(_mm256_broadcastsi128_si256(values),
                                       _mm256_set1_epi8(static_cast<char>(offset)));
  return {both, both};
}
// Bytes of `table` by indices below 16.
inline Bytes LookUp(Bytes table, Bytes index) {
  return {_mm256_shuffle_epi8(table.lo, index.lo), _mm256_shuffle_epi8(table.hi, index.hi)};
}

// Bytes are q + 128 and are brought back to q first.
inline I32x16 StartOfBytes(const OperandBlock&) {
  return BroadcastInt(0);
}
// Bytes are q, and 128 of them are missing then.
inline I32x16 StartOfUnsignedBytes(const OperandBlock& x) {
  return BroadcastInt(-x.offset128);
}

// |q| <= 128 and |x| <= 127, so two products stay below 2^15.
inline __m256i DotSigned(__m256i dot, __m256i bytes, __m256i x) {
  const __m256i weights = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
  const __m256i magnitudes = _mm256_abs_epi8(weights);
  return AddPairs(dot, _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(x, weights)));
}

// As many groups as 16-bit sums hold: each adds two products of at most kMax * 127.
template <int kMax, size_t kCount>
constexpr size_t kGroupsOfWords = 32767 / (2 * kMax * 127) < kCount ? 32767 / (2 * kMax * 127)
                                                                    : kCount;

// dot[t] += the weights of kCount groups from kFirst on, times those of token t.
template <size_t kTokens, size_t kFirst, size_t kCount, typename Integers>
inline void DotGroups(const Integers& integers, const uint8_t* low, const uint8_t* high,
                      const OperandBlock* x, I32x16* dot) {
  if constexpr (Integers::kMax == 255) {
#pragma GCC unroll 8
    for (size_t g = kFirst; g < kFirst + kCount; ++g) {
      const Bytes weights = integers.Group(low, high, g);
#pragma GCC unroll 4
      for (size_t t = 0; t < kTokens; ++t) {
        const __m256i four = FourOf(x[t].q + 4 * g);
        dot[t].lo = DotSigned(dot[t].lo, weights.lo, four);
        dot[t].hi = DotSigned(dot[t].hi, weights.hi, four);
      }
    }
  } else {
    constexpr size_t kGroups = kGroupsOfWords<Integers::kMax, kCount>;
    static_assert(kCount % kGroups == 0);
    for (size_t begin = kFirst; begin < kFirst + kCount; begin += kGroups) {
      I32x16 words[kTokens];
#pragma GCC unroll 4
      for (size_t t = 0; t < kTokens; ++t) words[t] = BroadcastInt(0);
#pragma GCC unroll 8
      for (size_t g = begin; g < begin + kGroups; ++g) {
        const Bytes weights = integers.Group(low, high, g);
#pragma GCC unroll 4
        for (size_t t = 0; t < kTokens; ++t) {
          const __m256i four = FourOf(x[t].q + 4 * g);
          words[t].lo = _mm256_add_epi16(words[t].lo, _mm256_maddubs_epi16(weights.lo, four));
          words[t].hi = _mm256_add_epi16(words[t].hi, _mm256_maddubs_epi16(weights.hi, four));
        }
      }
#pragma GCC unroll 4
      for (size_t t = 0; t < kTokens; ++t) {
        dot[t].lo = AddPairs(dot[t].lo, words[t].lo);
        dot[t].hi = AddPairs(dot[t].hi, words[t].hi);
      }
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
