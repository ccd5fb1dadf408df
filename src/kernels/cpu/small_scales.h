// Products with weights whose scales are small (kScalesAreSmall): integers of 256 columns, exactly,
// before anything is rounded. Bytes that have taken their scales need nothing else; of others, dots
// of each sub-block take theirs. Included by block_weights.h alone, between blocks and bands.

// products += dots of sub-block kSub * its scale.
template <size_t kSub, typename From, size_t kSideBySide, size_t kTokens>
inline void AddSmallSubBlock(const From (&from)[kSideBySide], const OperandBlock* x,
                             I32x16 (&products)[kSideBySide][kTokens]) {
  I32x16 dot[kSideBySide][kTokens];
  Dot<kSub>(from, x, dot);
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
    const I32x16 scale = from[p].SmallScale(kSub);
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t)
      products[p][t] = MultiplyAdd(dot[p][t], scale, products[p][t]);
  }
}

template <typename From, size_t kSideBySide, size_t kTokens>
inline void AddSmallBlock(const From (&from)[kSideBySide], const OperandBlock* x,
                          I32x16 (&products)[kSideBySide][kTokens]) {
  if constexpr (From::kIsScaled) {
    DotGroups<0, 8>(from, x, products);
  } else {
    AddSmallSubBlock<0>(from, x, products);
    AddSmallSubBlock<1>(from, x, products);
  }
}

// minima -= those of a block times the sums of its halves of x.
template <typename From, size_t kSideBySide, size_t kTokens>
inline void SubtractSmallMinima(const From (&from)[kSideBySide], const OperandBlock* x,
                                I32x16 (&minima)[kSideBySide][kTokens]) {
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
    const I32x16 of_block = from[p].SmallMinima();
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t)
      minima[p][t] = SubtractMinima(minima[p][t], of_block, x[t]);
  }
}

// As AddBand(), of a whole one.
template <typename From, size_t kSideBySide, size_t kTokens, typename Before>
inline void AddSmallBand(From (&from)[kSideBySide], const OperandBlock* x, size_t tile,
                         const Before& before, F32x16 (&sums)[kSideBySide][kTokens]) {
  using Kind = typename From::Kind;
  // Bytes that have taken their scales are larger by so much.
  constexpr int kMore = From::kIsScaled ? 31 * Kind::kZero : 0;
  I32x16 products[kSideBySide][kTokens], minima[kSideBySide][kTokens];
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) products[p][t] = minima[p][t] = BroadcastInt(0);
  }
  int32_t offsets[kTokens] = {};  // -8 times the sums of x
  for (size_t b = 0; b < panel::kBandBlocks; ++b) {
    before(b);
    const OperandBlock* of_block = x + b * tile;
    AddSmallBlock(from, of_block, products);
    if constexpr (Kind::kMinimum) SubtractSmallMinima(from, of_block, minima);
    if constexpr (kMore != 0) {
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t) offsets[t] += of_block[t].offset8;
    }
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) from[p].Next();
  }
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      if constexpr (kMore != 0)
        products[p][t] = Add(products[p][t], BroadcastInt(offsets[t] / 8 * kMore));
      F32x16 part = Times(ToFloat(products[p][t]), from[p].ScaleOfBand());
      if constexpr (Kind::kMinimum)
        part = Fma(ToFloat(minima[p][t]), from[p].MinimumOfBand(), part);
      sums[p][t] = Fma(part, Broadcast(x[t].scale), sums[p][t]);
    }
  }
}
