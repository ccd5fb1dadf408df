// Products of sums (block_weights.h) with AVX-512 VNNI. Included by table.cc alone, inside its
// anonymous namespace, after quant.h.

// (x & mask) | more.
inline Bytes AndOr(Bytes x, uint8_t mask, uint8_t more) {
  return {_mm512_ternarylogic_epi32(x.v, _mm512_set1_epi8(static_cast<char>(mask)),
                                    _mm512_set1_epi8(static_cast<char>(more)),
                                    (0xf0 & 0xcc) | 0xaa)};
}
inline Bytes Plus(Bytes x, int more) {
  return {_mm512_add_epi8(x.v, _mm512_set1_epi8(static_cast<char>(more)))};
}

// Where products of sums begin, of activations: pairs = -sum of (a0 + 128) a1 of the columns that
// are multiplied by sums - 128 * sum of the others.
inline void SetPairs(OperandBlock& x) {
  // Halves, as they have just been stored.
  const __m256i q = _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(x.q + 16),
                                        reinterpret_cast<const __m128i*>(x.q));
  // Groups 0 to 7 as a0 + 128, nothing, 128, 128, and so again; times a1, anything, a, a.
  const __m256i first = _mm256_xor_si256(_mm256_maskz_mov_epi32(0x11, q),
                                         _mm256_maskz_set1_epi32(0xdd, int32_t{-0x7f7f7f80}));
  const __m256i second = _mm256_shuffle_epi32(q, _MM_PERM_DCBB);
  const __m256i products = _mm256_dpbusd_epi32(_mm256_setzero_si256(), first, second);
  const __m128i quarters =
      _mm_add_epi32(_mm256_castsi256_si128(products), _mm256_extracti128_si256(products, 1));
  const __m128i halves = _mm_add_epi32(quarters, _mm_shuffle_epi32(quarters, _MM_PERM_BADC));
  x.pairs = -(_mm_cvtsi128_si32(halves) + _mm_extract_epi32(halves, 1));
  x.pairs8 = x.pairs + x.offset8;
}

// The summands of a block at `into`, and the products at `own_at` of those that sums multiply.
template <typename From>
inline void StoreSummands(const From& from, uint8_t* into, uint8_t* own_at) {
  __m512i own = _mm512_setzero_si512();
#pragma GCC unroll 2
  for (size_t g = 0; g < 8; g += 4) {
    const Bytes even = from.Summand(g);
    const Bytes odd = from.Summand(g + 1);
    _mm512_store_si512(into + g * 64, even.v);
    _mm512_store_si512(into + (g + 1) * 64, odd.v);
    _mm512_store_si512(into + (g + 2) * 64, from.Summand(g + 2).v);
    _mm512_store_si512(into + (g + 3) * 64, from.Summand(g + 3).v);
    own = _mm512_dpbusd_epi32(own, odd.v, even.v);
  }
  _mm512_store_si512(own_at, own);
}

// dot + the products of 16 columns: of w with the activations at q. Compilers would take registers
// for what is broadcast into products, and tear them apart.
inline __m512i DotHalf(__m512i dot, const __m512i (&w)[4], const int8_t* q) {
  const auto* four = reinterpret_cast<const int8_t(*)[4]>(q);
  __m512i first, second;
  asm("vpbroadcastd %[q0], %[first]\n\t"
      "vpbroadcastd %[q1], %[second]\n\t"
      "vpaddb %[first], %[w1], %[first]\n\t"
      "vpaddb %[second], %[w0], %[second]\n\t"
      "vpdpbusd %[second], %[first], %[dot]\n\t"
      "vpdpbusd %[q2]%{1to16%}, %[w2], %[dot]\n\t"
      "vpdpbusd %[q3]%{1to16%}, %[w3], %[dot]"
      : [dot] "+v"(dot), [first] "=&v"(first), [second] "=&v"(second)
      : [w0] "v"(w[0]), [w1] "v"(w[1]), [w2] "v"(w[2]), [w3] "v"(w[3]), [q0] "m"(four[0]),
        [q1] "m"(four[1]), [q2] "m"(four[2]), [q3] "m"(four[3]));
  return dot;
}

// The same of two panels, which share what is broadcast.
inline void DotHalves(__m512i& dot0, __m512i& dot1, const __m512i (&w)[2][4], const int8_t* q) {
  const auto* four = reinterpret_cast<const int8_t(*)[4]>(q);
  __m512i first, second, third, fourth;
  asm("vpbroadcastd %[q0], %[first]\n\t"
      "vpbroadcastd %[q1], %[second]\n\t"
      "vpaddb %[first], %[v1], %[third]\n\t"
      "vpaddb %[second], %[v0], %[fourth]\n\t"
      "vpdpbusd %[fourth], %[third], %[dot0]\n\t"
      "vpaddb %[first], %[w1], %[first]\n\t"
      "vpaddb %[second], %[w0], %[second]\n\t"
      "vpdpbusd %[second], %[first], %[dot1]\n\t"
      "vpbroadcastd %[q2], %[third]\n\t"
      "vpdpbusd %[third], %[v2], %[dot0]\n\t"
      "vpdpbusd %[third], %[w2], %[dot1]\n\t"
      "vpbroadcastd %[q3], %[fourth]\n\t"
      "vpdpbusd %[fourth], %[v3], %[dot0]\n\t"
      "vpdpbusd %[fourth], %[w3], %[dot1]"
      : [dot0] "+v"(dot0), [dot1] "+v"(dot1), [first] "=&v"(first), [second] "=&v"(second),
        [third] "=&v"(third), [fourth] "=&v"(fourth)
      : [v0] "v"(w[0][0]), [v1] "v"(w[0][1]), [v2] "v"(w[0][2]), [v3] "v"(w[0][3]),
        [w0] "v"(w[1][0]), [w1] "v"(w[1][1]), [w2] "v"(w[1][2]), [w3] "v"(w[1][3]),
        [q0] "m"(four[0]), [q1] "m"(four[1]), [q2] "m"(four[2]), [q3] "m"(four[3]));
}

// dot[p][t] += the weights of a block of panel p, times those of token t, which it began with
// StartOfSums() for. Sums and products of a token alternate, which keeps adders and multipliers
// busy at once.
template <typename From, size_t kSideBySide, size_t kTokens>
inline void DotSums(const From (&from)[kSideBySide], const OperandBlock* x,
                    I32x16 (&dot)[kSideBySide][kTokens]) {
  __m512i own[kSideBySide];
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) own[p] = _mm512_setzero_si512();
#pragma GCC unroll 2
  for (size_t g = 0; g < 8; g += 4) {
    __m512i w[kSideBySide][4];
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) {
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; ++i) w[p][i] = from[p].Summand(g + i).v;
      if constexpr (!From::kIsPrepared) own[p] = _mm512_dpbusd_epi32(own[p], w[p][1], w[p][0]);
    }
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      const int8_t* q = x[t].q + 4 * g;
      if constexpr (kSideBySide == 2)
        DotHalves(dot[0][t].v, dot[1][t].v, w, q);
      else
        dot[0][t].v = DotHalf(dot[0][t].v, w[0], q);
    }
  }
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
    if constexpr (From::kIsPrepared) own[p] = _mm512_load_si512(from[p].OwnProducts());
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) dot[p][t].v = _mm512_sub_epi32(dot[p][t].v, own[p]);
  }
}
