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

// g++ would compute all products of a block before it adds any, and has registers for few.
inline I32x16 AddedNow(I32x16 dot) {
  asm("" : "+x"(dot.lo), "+x"(dot.hi));
  return dot;
}

inline I32x16 AddWords(I32x16 dot, Bytes weights, __m256i x) {
  return {_mm256_add_epi32(dot.lo, _mm256_madd_epi16(weights.lo, x)),
          _mm256_add_epi32(dot.hi, _mm256_madd_epi16(weights.hi, x))};
}

// A group's bytes as products take them, here and in memory: as they are, or, where they need all
// eight bits, less 128 and beside it without its sign, which the activations borrow.
struct SignedFactors {
  Bytes q, magnitude;
};
template <int kMax>
using Factors = std::conditional_t<kMax == 255, SignedFactors, Bytes>;
template <int kMax>
constexpr size_t kFactorBytes = kMax == 255 ? 128 : 64;

inline void StoreBytes(Bytes x, uint8_t* into) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(into), x.lo);
  _mm256_store_si256(reinterpret_cast<__m256i*>(into + 32), x.hi);
}
template <int kMax>
inline Factors<kMax> FactorsOf(Bytes x) {
  if constexpr (kMax == 255) {
    const __m256i flip = _mm256_set1_epi8(-128);
    const Bytes q = {_mm256_xor_si256(x.lo, flip), _mm256_xor_si256(x.hi, flip)};
    return {q, {_mm256_abs_epi8(q.lo), _mm256_abs_epi8(q.hi)}};
  } else {
    return x;
  }
}
template <int kMax>
inline Factors<kMax> LoadFactors(const uint8_t* from) {
  if constexpr (kMax == 255) {
    return {LoadBytes(from), LoadBytes(from + 64)};
  } else {
    return LoadBytes(from);
  }
}
template <int kMax>
inline void StoreFactors(const Factors<kMax>& x, uint8_t* into) {
  if constexpr (kMax == 255) {
    StoreBytes(x.q, into);
    StoreBytes(x.magnitude, into + 64);
  } else {
    StoreBytes(x, into);
  }
}

// As DotGroups(), of bytes that need all eight bits: pairs of products, 2 * 128 * 127 at most, fit
// 16 bits, but no more than one pair does.
template <size_t kFirst, size_t kCount, typename From, size_t kTokens>
inline void DotSigned(const From& from, const OperandBlock* x, I32x16 (&dot)[kTokens]) {
#pragma GCC unroll 8
  for (size_t g = kFirst; g < kFirst + kCount; ++g) {
    const SignedFactors w = from.Group(g);
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      const __m256i four = FourOf(x[t].q + 4 * g);
      const __m256i lo = _mm256_maddubs_epi16(w.magnitude.lo, _mm256_sign_epi8(four, w.q.lo));
      const __m256i hi = _mm256_maddubs_epi16(w.magnitude.hi, _mm256_sign_epi8(four, w.q.hi));
      dot[t] = AddedNow({AddPairs(dot[t].lo, lo), AddPairs(dot[t].hi, hi)});
    }
  }
}

// As many groups, a power of two, as 16-bit sums hold: each adds two products, kMax * 127 at most.
template <int kMax, size_t kCount>
constexpr size_t kGroupsOfWords =
    kCount > 1 && kCount * 2 * kMax * 127 > 32767 ? kGroupsOfWords<kMax, kCount / 2> : kCount;

// As DotGroups(), of bytes that need fewer bits.
template <size_t kFirst, size_t kCount, typename From, size_t kTokens>
inline void DotBytes(const From& from, const OperandBlock* x, I32x16 (&dot)[kTokens]) {
  constexpr size_t kGroups = kGroupsOfWords<From::Kind::kMax, kCount>;
  static_assert(kCount % kGroups == 0);
  for (size_t begin = kFirst; begin < kFirst + kCount; begin += kGroups) {
    I32x16 words[kTokens];
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) words[t] = BroadcastInt(0);
#pragma GCC unroll 8
    for (size_t g = begin; g < begin + kGroups; ++g) {
      const Bytes weights = from.Group(g);
#pragma GCC unroll 4
      for (size_t t = 0; t < kTokens; ++t) {
        const __m256i four = FourOf(x[t].q + 4 * g);
        const __m256i lo = _mm256_maddubs_epi16(weights.lo, four);
        const __m256i hi = _mm256_maddubs_epi16(weights.hi, four);
        words[t] = AddedNow({_mm256_add_epi16(words[t].lo, lo), _mm256_add_epi16(words[t].hi, hi)});
      }
    }
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      dot[t].lo = AddPairs(dot[t].lo, words[t].lo);
      dot[t].hi = AddPairs(dot[t].hi, words[t].hi);
    }
  }
}

// ---- scales that are small: integers, with upper halves of zero ----

inline I32x16 ScalesOfNibbles(const uint8_t* from) {
  const I32x16 x = WidenU8(from);
  const __m256i mask = _mm256_set1_epi32(15);
  return {_mm256_and_si256(x.lo, mask), _mm256_and_si256(x.hi, mask)};
}
inline I32x16 ScalesOfBytes(const uint8_t* from) {
  const __m256i words = _mm256_cvtepi8_epi16(Load128(from));
  return {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(words)),
          _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1))};
}
// dot * scale + sum, where |dot| < 2^15.
inline I32x16 MultiplyAdd(I32x16 dot, I32x16 scale, I32x16 sum) {
  return {_mm256_add_epi32(sum.lo, _mm256_madd_epi16(dot.lo, scale.lo)),
          _mm256_add_epi32(sum.hi, _mm256_madd_epi16(dot.hi, scale.hi))};
}

// Of both halves of a block of 32: the high nibbles of 2 x 16 bytes, 16 bits each.
inline __m256i MinimaOf(__m256i first, __m256i second) {
  return _mm256_srli_epi16(_mm256_or_si256(first, _mm256_slli_epi32(second, 16)), 4);
}
inline I32x16 MinimaOfNibbles(const uint8_t* from) {
  const I32x16 first = WidenU8(from);
  const I32x16 second = WidenU8(from + 16);
  return {MinimaOf(first.lo, second.lo), MinimaOf(first.hi, second.hi)};
}
// sum - the sums of both halves of x times their minima.
inline I32x16 SubtractMinima(I32x16 sum, I32x16 minima, const OperandBlock& x) {
  int64_t offsets;  // -32 times each sum
  __builtin_memcpy(&offsets, x.offset32, sizeof(offsets));
  const __m256i words = _mm256_srai_epi32(_mm256_set1_epi64x(offsets), 5);
  const __m256i pairs = _mm256_shuffle_epi8(words, _mm256_set1_epi32(0x05040100));
  return AddWords(sum, {minima.lo, minima.hi}, pairs);
}

// Whether bytes are multiplied by their scales as blocks are prepared.
constexpr bool kBytesTakeScales = false;  // those of Q3_K would need all eight bits

constexpr bool kFewBitsAreFast = true;  // whether products of small integers are cheaper
constexpr size_t kPanelsOfSums = 0;     // no products of sums

// dot[0][t] += the weights of groups [kFirst, kFirst + kCount), times those of token t.
template <size_t kFirst, size_t kCount, typename From, size_t kTokens>
inline void DotGroups(const From (&from)[1], const OperandBlock* x, I32x16 (&dot)[1][kTokens]) {
  if constexpr (From::Kind::kMax == 255) {
    DotSigned<kFirst, kCount>(from[0], x, dot[0]);
  } else {
    DotBytes<kFirst, kCount>(from[0], x, dot[0]);
  }
}

// Products of bytes added up in 16 bits, which is as much as small integers take.
constexpr size_t kPeakInt8Sums = 10;
inline int64_t PeakInt8(size_t iterations) {
  __m256i sums[kPeakInt8Sums];
  for (size_t i = 0; i < kPeakInt8Sums; ++i) sums[i] = _mm256_set1_epi8(static_cast<char>(i));
  const __m256i a = _mm256_set1_epi8(static_cast<char>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 10
    for (__m256i& sum : sums) sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(a, sum));
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
    PrefetchToL2(bytes + i + 1024);
    PrefetchToL2(bytes + i + 1024 + 64);
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
constexpr size_t kPeakInt8Ops = kPeakInt8Sums * 64;
constexpr size_t kPeakFusedOps = 10 * 16;
