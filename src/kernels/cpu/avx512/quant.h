// Integer dot products of one block with AVX-512 VNNI. Included by table.cc alone, inside its
// anonymous namespace. Weights are unsigned, activations signed; the caller starts `dot` at the
// offset that makes up for it, so the sums are exact.

inline __m512i FourOf(const int8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm512_set1_epi32(four);
}

// dot[t] += weights 4g to 4g + 3 of each row times those of token t.
template <size_t kTokens>
inline void DotGroup(__m512i weights, const OperandBlock* x, size_t g, I32x16* dot) {
  for (size_t t = 0; t < kTokens; ++t) {
    dot[t].v = _mm512_dpbusd_epi32(dot[t].v, weights, FourOf(x[t].q + 4 * g));
  }
}

// Bytes are q + 128.
inline I32x16 StartOfBytes(const OperandBlock& x) {
  return BroadcastInt(x.offset128);
}

// Eight groups of 16 x 4 bytes.
template <size_t kTokens>
inline void DotBytes(const uint8_t* weights, const OperandBlock* x, I32x16* dot) {
#pragma GCC unroll 8
  for (size_t g = 0; g < 8; ++g) {
    DotGroup<kTokens>(_mm512_load_si512(weights + g * 64), x, g, dot);
  }
}

// Four groups of 16 x 4 bytes with two weights each; low nibbles into dot[0], high into dot[1].
template <size_t kTokens>
inline void DotNibbles(const uint8_t* weights, const OperandBlock* x, I32x16* dot) {
  const __m512i mask = _mm512_set1_epi8(15);
#pragma GCC unroll 4
  for (size_t g = 0; g < 4; ++g) {
    const __m512i pairs = _mm512_load_si512(weights + g * 64);
    DotGroup<kTokens>(_mm512_and_si512(pairs, mask), x, g, dot);
    DotGroup<kTokens>(_mm512_and_si512(_mm512_srli_epi16(pairs, 4), mask), x, g + 4, dot);
  }
}

// Half kHalf (16 weights) of a block of 6-bit weights.
template <size_t kTokens, size_t kHalf>
inline void DotSixBits(const uint8_t* nibbles, const uint8_t* high, const OperandBlock* x,
                       I32x16* dot) {
  const __m512i low_mask = _mm512_set1_epi8(15);
  const __m512i high_mask = _mm512_set1_epi8(48);
  const __m512i two_bits = _mm512_load_si512(high + kHalf * 64);
#pragma GCC unroll 4
  for (size_t g = 0; g < 4; ++g) {
    __m512i low = _mm512_load_si512(nibbles + g * 64);
    if (kHalf == 1) low = _mm512_srli_epi16(low, 4);
    const __m512i top = g < 2 ? _mm512_slli_epi16(two_bits, static_cast<unsigned>(4 - 2 * g))
                              : _mm512_srli_epi16(two_bits, static_cast<unsigned>(2 * g - 4));
    const __m512i weights =
        _mm512_or_si512(_mm512_and_si512(low, low_mask), _mm512_and_si512(top, high_mask));
    DotGroup<kTokens>(weights, x, g + 4 * kHalf, dot);
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
    for (size_t j = 0; j < 256; j += 64) Prefetch(bytes + i + j + 4096);
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
