// Integer dot products of one block with the NEON that every AArch64 processor has: products of
// bytes are added up in 16 bits, and those sums in 32. Every use below states why they fit, so the
// results are exact. Included by table.cc alone, inside its anonymous namespace.

// Four bytes of activations, four times.
inline int8x16_t FourOf(const int8_t* q) {
  int32_t four;
  __builtin_memcpy(&four, q, sizeof(four));
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

// Sums of the products of four rows, 16 bits each: four of a row side by side.
struct Words {
  int16x8_t low, high;
};
inline Words ProductsOf(int8x16_t weights, int8x16_t x) {
  return {vmull_s8(vget_low_s8(weights), vget_low_s8(x)), vmull_high_s8(weights, x)};
}
inline Words AddProducts(Words words, int8x16_t weights, int8x16_t x) {
  return {vmlal_s8(words.low, vget_low_s8(weights), vget_low_s8(x)),
          vmlal_high_s8(words.high, weights, x)};
}
inline int32x4_t AddWords(int32x4_t dot, Words words) {
  return vaddq_s32(dot, vpaddq_s32(vpaddlq_s16(words.low), vpaddlq_s16(words.high)));
}

// Bytes are q + 128 and are brought back to q first.
inline I32x16 StartOfBytes(const OperandBlock&) {
  return BroadcastInt(0);
}
// Bytes are q, and 128 of them are missing then.
inline I32x16 StartOfUnsignedBytes(const OperandBlock& x) {
  return BroadcastInt(-x.offset128);
}

// As many groups, a power of two, as 16-bit sums hold. Of bytes that need all eight bits |q| <= 128
// and |x| <= 127; others are at most kMax, and positive.
template <int kMax, size_t kCount>
constexpr size_t kGroupsOfWords = kCount > 1 && kCount*(kMax == 255 ? 128 : kMax) * 127 > 32767
                                      ? kGroupsOfWords<kMax, kCount / 2>
                                      : kCount;

template <int kMax>
inline Bytes FactorsOf(Bytes x) {
  return kMax == 255 ? Flipped(x) : x;
}

// The products of kCount groups from `begin` on, of eight rows: `rows` takes theirs out of a group.
template <size_t kTokens, size_t kCount, typename From, typename Rows>
inline void AddEightRows(const From& from, size_t begin, const OperandBlock* x, const Rows& rows,
                         Words (*words)[2]) {
#pragma GCC unroll 8
  for (size_t g = begin; g < begin + kCount; ++g) {
    const auto [first, second] = rows(from.Group(g));
    const int8x16_t weights[2] = {vreinterpretq_s8_u8(first), vreinterpretq_s8_u8(second)};
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      const int8x16_t four = FourOf(x[t].q + 4 * g);
#pragma GCC unroll 2
      for (size_t i = 0; i < 2; ++i) {
        words[t][i] =
            g == begin ? ProductsOf(weights[i], four) : AddProducts(words[t][i], weights[i], four);
      }
    }
  }
}

constexpr bool kFewBitsAreFast = true;  // whether products of small integers are cheaper
constexpr size_t kPanelsOfSums = 0;     // no products of sums

// dot[0][t] += the weights of groups [kFirst, kFirst + kCount), times those of token t. Eight rows
// at a time, whose 16-bit sums fit into the registers.
template <size_t kFirst, size_t kCount, typename From, size_t kTokens>
inline void DotGroups(const From (&from)[1], const OperandBlock* x, I32x16 (&dots)[1][kTokens]) {
  I32x16* dot = dots[0];
  struct Pair {
    uint8x16_t first, second;
  };
  constexpr size_t kGroups = kGroupsOfWords<From::Kind::kMax, kCount>;
  static_assert(kCount % kGroups == 0);
#pragma GCC unroll 4
  for (size_t begin = kFirst; begin < kFirst + kCount; begin += kGroups) {
    Words words[kTokens][2];
    AddEightRows<kTokens, kGroups>(
        from[0], begin, x,
        [](const Bytes& of) {
          return Pair{of.a, of.b};
        },
        words);
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      dot[t].a = AddWords(dot[t].a, words[t][0]);
      dot[t].b = AddWords(dot[t].b, words[t][1]);
    }
    AddEightRows<kTokens, kGroups>(
        from[0], begin, x,
        [](const Bytes& of) {
          return Pair{of.c, of.d};
        },
        words);
#pragma GCC unroll 4
    for (size_t t = 0; t < kTokens; ++t) {
      dot[t].c = AddWords(dot[t].c, words[t][0]);
      dot[t].d = AddWords(dot[t].d, words[t][1]);
    }
  }
}

inline int64_t PeakInt8(size_t iterations) {
  int16x8_t sums[16];  // all different, or the compiler computes one
  for (size_t i = 0; i < 16; ++i) sums[i] = vdupq_n_s16(static_cast<int16_t>(i));
  const int8x8_t a = vdup_n_s8(static_cast<int8_t>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 16
    for (int16x8_t& sum : sums) sum = vmlal_s8(sum, a, a);
  }
  int64_t total = 0;
  for (const int16x8_t sum : sums) total += vaddvq_s16(sum);
  return total;
}
constexpr size_t kPeakInt8Ops = 16 * 16;
