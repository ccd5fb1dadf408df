// Products of sums (block_weights.h) with AVX-512 VNNI. Included by table.cc alone, inside its
// anonymous namespace, after quant.h.

constexpr bool kSumsAreFree = true;  // whether additions run beside products

// (x & mask) | more.
inline Bytes AndOr(Bytes x, uint8_t mask, uint8_t more) {
  return {_mm512_ternarylogic_epi32(x.v, _mm512_set1_epi8(static_cast<char>(mask)),
                                    _mm512_set1_epi8(static_cast<char>(more)),
                                    (0xf0 & 0xcc) | 0xaa)};
}
inline Bytes Plus(Bytes x, int more) {
  return {_mm512_add_epi8(x.v, _mm512_set1_epi8(static_cast<char>(more)))};
}

// Where products of sums begin, of activations: pairs = -sum of (a0 + 128) a1.
inline void SetPairs(OperandBlock& x) {
  // Halves, as they have just been stored.
  const __m256i q = _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(x.q + 16),
                                        reinterpret_cast<const __m128i*>(x.q));
  const __m256i first = _mm256_xor_si256(q, _mm256_set1_epi8(-128));
  const __m256i second = _mm256_srli_epi64(q, 32);  // and zeros
  const __m256i products = _mm256_dpbusd_epi32(_mm256_setzero_si256(), first, second);
  const __m128i halves =
      _mm_add_epi32(_mm256_castsi256_si128(products), _mm256_extracti128_si256(products, 1));
  x.pairs = -(_mm_cvtsi128_si32(halves) + _mm_extract_epi32(halves, 2));
  x.pairs8 = x.pairs + x.offset8;
}

// The summands of a block at `into`, and their products among themselves at `own_at`.
template <typename From>
inline void StoreSummands(const From& from, uint8_t* into, uint8_t* own_at) {
  __m512i own = _mm512_setzero_si512();
#pragma GCC unroll 4
  for (size_t g = 0; g < 8; g += 2) {
    const Bytes even = from.Summand(g);
    const Bytes odd = from.Summand(g + 1);
    _mm512_store_si512(into + g * 64, even.v);
    _mm512_store_si512(into + (g + 1) * 64, odd.v);
    own = _mm512_dpbusd_epi32(own, odd.v, even.v);
  }
  _mm512_store_si512(own_at, own);
}

// dot[p][t] += the weights of a block of panel p, times those of token t, which it began with
// StartOfSums() for. Panels share each broadcast.
template <typename From, size_t kSideBySide, size_t kTokens>
inline void DotSums(const From (&from)[kSideBySide], const OperandBlock* x,
                    I32x16 (&dot)[kSideBySide][kTokens]) {
  __m512i own[kSideBySide];
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
    own[p] = _mm512_load_si512(from[p].OwnProducts());
  }
#pragma GCC unroll 4
  for (size_t g = 0; g < 8; g += 2) {
    __m512i even[kSideBySide], odd[kSideBySide];
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) {
      even[p] = from[p].Summand(g).v;
      odd[p] = from[p].Summand(g + 1).v;
    }
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      const __m512i first = FourOf(x[t].q + 4 * g);
      const __m512i second = FourOf(x[t].q + 4 * g + 4);
#pragma GCC unroll 2
      for (size_t p = 0; p < kSideBySide; ++p)
        dot[p][t].v = _mm512_dpbusd_epi32(dot[p][t].v, _mm512_add_epi8(odd[p], first),
                                          _mm512_add_epi8(even[p], second));
    }
  }
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) dot[p][t].v = _mm512_sub_epi32(dot[p][t].v, own[p]);
  }
}
