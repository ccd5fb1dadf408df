// Products with quantised weights: integers of a block of 32 columns times those of x, exactly,
// then scales. Included by body.h alone.

// Bits kFrom and up of one group's bytes of a plane of kBits per weight; the bits around are
// rubbish.
template <size_t kBits, size_t kFrom>
inline Bytes PlaneBits(const uint8_t* plane, size_t group) {
  const size_t bit = group * kBits;
  const Bytes line = LoadBytes(plane + bit / 8 * 64);
  const size_t shift = bit % 8;
  return shift >= kFrom ? ShiftRight(line, shift - kFrom) : ShiftLeft(line, kFrom - shift);
}

// How the bytes that products read (for 64 weights: four of each row) come out of a panel. kMax is
// the largest; kZero what stands for zero.
//
// Products of sums (Winograd, "A new algorithm for inner product", 1968) take two columns at once:
// a0 w0 + a1 w1 = (a0 + w1) (a1 + w0) - a0 a1 - w0 w1. That is half the multiplications, for
// additions, which some processors do beside them; what is subtracted is made once for each block
// of weights and each of x, and integers stay exact. So that neither waits for the other, columns
// of groups 4h meet those of 4h + 1, and groups 4h + 2 and 4h + 3 are multiplied as ever. Sums are
// bytes: w is what is read less kCentre, from -16 to 15 where kHasSummands, and x at most
// LargestInteger(). First factors are unsigned, so all groups but 4h are w + 128.
template <typename Block>
struct Integers {
  using F = panel::Format<Block>;
  static constexpr int kMax = (1 << (F::kLowBits + F::kHighBits)) - 1;
  static constexpr int kZero = Block::kZero;
  static constexpr bool kHasSummands = kMax < 32;
  static constexpr int kCentre = kMax < 16 ? 0 : 16;

  Bytes Group(const uint8_t* low, const uint8_t* high, size_t group) const {
    const Bytes bits = PlaneBits<F::kLowBits, 0>(low, group);
    if constexpr (F::kLowBits == 8) return bits;
    constexpr uint8_t kMask = (1 << F::kLowBits) - 1;
    if constexpr (F::kHighBits == 0) return And(bits, kMask);
    return Join(
        bits, kMask,
        And(PlaneBits<F::kHighBits, F::kLowBits>(high, group), static_cast<uint8_t>(kMax - kMask)));
  }

  Bytes Summand(const uint8_t* low, const uint8_t* high, size_t group) const {
    if constexpr (kCentre == 0) {
      const auto bits = PlaneBits<F::kLowBits, 0>(low, group);
      return group % 4 == 0 ? And(bits, kMax) : AndOr(bits, kMax, 128);
    } else {
      const auto bytes = Group(low, high, group);
      return Plus(bytes, (group % 4 == 0 ? 0 : 128) - kCentre);
    }
  }
};

// Values of a codebook, kZeroAt up.
template <const int8_t (&kCodebook)[16], int kLargest, int kZeroAt>
struct CodebookIntegers {
  static constexpr int kMax = kLargest;
  static constexpr int kZero = kZeroAt;
  static constexpr bool kHasSummands = [] {
    for (const int8_t value : kCodebook) {
      if (value < -16 || value > 15) return false;
    }
    return true;
  }();
  static constexpr int kCentre = kZero;
  Bytes table = LoadTable(kCodebook, kZero);
  Bytes even = LoadTable(kCodebook, 0);
  Bytes odd = LoadTable(kCodebook, 128);

  Bytes Group(const uint8_t* low, const uint8_t*, size_t group) const {
    return LookUp(table, And(PlaneBits<4, 0>(low, group), 15));
  }
  Bytes Summand(const uint8_t* low, const uint8_t*, size_t group) const {
    return LookUp(group % 4 == 0 ? even : odd, And(PlaneBits<4, 0>(low, group), 15));
  }
};
template <>
struct Integers<BlockIQ4_NL> : CodebookIntegers<kCodebookIQ4, 255, 128> {};
template <>
struct Integers<BlockIQ4_XS> : CodebookIntegers<kCodebookIQ4, 255, 128> {};
template <>
struct Integers<BlockMXFP4>
    : CodebookIntegers<kCodebookMXFP4, kFewBitsAreFast ? 24 : 255, kFewBitsAreFast ? 12 : 128> {};

// What products depend on; block types that agree in it share them.
template <int kLargest, int kZeroAt, bool kHasSums, int kCentreAt, size_t kSubBlocks,
          bool kHasMinimum, bool kHasSmallScales, OperandKind kActivations>
struct BlockKind {
  static constexpr int kMax = kLargest;
  static constexpr int kZero = kZeroAt;
  static constexpr int kCentre = kCentreAt;
  static constexpr size_t kSubs = kSubBlocks;  // of 32 columns
  static constexpr bool kMinimum = kHasMinimum;
  static constexpr bool kSmallScales = kHasSmallScales;
  static constexpr OperandKind kOperand = kActivations;
  static constexpr bool kSuper = kOperand == OperandKind::kSuperInt8;
  static constexpr bool kSums = kHasSums;
};
// Whether many tokens are multiplied by products of sums.
template <typename Block>
constexpr bool kHasSums =
    kPanelsOfSums > 0 && Integers<Block>::kHasSummands&& Block::kSubBlock == 32 &&
    kOperandOf<Block> == OperandKind::kSuperInt8;
template <typename Block>
using KindOf = BlockKind<Integers<Block>::kMax, Integers<Block>::kZero, kHasSums<Block>,
                         kHasSums<Block> ? Integers<Block>::kCentre : 0, 32 / Block::kSubBlock,
                         Block::kMinimum, kScalesAreSmall<Block>, kOperandOf<Block>>;

// Where the dot product of sub-block kSub begins, so that kZero counts as zero.
template <typename Kind, size_t kSub>
inline I32x16 StartOf(const OperandBlock& x) {
  constexpr int kZero = Kind::kZero;
  if constexpr (kZero == 128) return StartOfBytes(x);
  if constexpr (kZero == 0 && Kind::kMax == 255) return StartOfUnsignedBytes(x);
  if constexpr (kZero == 8) return BroadcastInt(x.offset8);
  if constexpr (kZero == 12) return BroadcastInt(x.offset8 / 2 * 3);
  if constexpr (kZero == 16) return Twice(BroadcastInt(x.offset8));
  if constexpr (kZero == 32) return BroadcastInt(x.offset32[kSub]);
  if constexpr (kZero == 4) return Eighth(BroadcastInt(x.offset32[kSub]));
  return BroadcastInt(0);
}

// The same of products of sums: what is read stands for kCentre more, and zero for kZero.
template <typename Kind>
inline I32x16 StartOfSums(const OperandBlock& x) {
  constexpr int kMore = Kind::kCentre - Kind::kZero;
  static_assert(kMore % 8 == 0);
  if constexpr (kMore == 0) return BroadcastInt(x.pairs);
  if constexpr (kMore == -8) return BroadcastInt(x.pairs8);
  return BroadcastInt(x.pairs - kMore / 8 * x.offset8);
}

// ---- scales of the sub-blocks of a block of 32: w = scale * integer + minimum ----

template <typename Block>
struct Scales {  // F16 d, F16 m
  explicit Scales(const uint8_t*) {}
  F32x16 Scale(const uint8_t* at, size_t) const { return LoadHalf(HalvesAt(at)); }
  F32x16 Minimum(const uint8_t* at, size_t) const { return LoadHalf(HalvesAt(at + 32)); }
};
struct BrainScales {  // BF16 d, BF16 m
  explicit BrainScales(const uint8_t*) {}
  F32x16 Scale(const uint8_t* at, size_t) const { return LoadBrains(HalvesAt(at)); }
  F32x16 Minimum(const uint8_t* at, size_t) const { return LoadBrains(HalvesAt(at + 32)); }
};
template <>
struct Scales<BlockMlx4> : BrainScales {
  using BrainScales::BrainScales;
};
template <>
struct Scales<BlockMlx8> : BrainScales {
  using BrainScales::BrainScales;
};
template <>
struct Scales<BlockMXFP4> {
  explicit Scales(const uint8_t*) {}
  F32x16 Scale(const uint8_t* at, size_t) const { return LoadExponents(at); }
};
struct SignedScales {
  F32x16 d;
  explicit SignedScales(const uint8_t* super) : d(LoadHalf(HalvesAt(super))) {}
  F32x16 Scale(const uint8_t* at, size_t sub) const { return Times(d, LoadS8(at + 16 * sub)); }
};
template <>
struct Scales<BlockQ6_K> : SignedScales {
  using SignedScales::SignedScales;
};
template <>
struct Scales<BlockIQ4_XS> : SignedScales {
  using SignedScales::SignedScales;
};
struct ByteScalesAndMinima {
  F32x16 d;
  F32x16 minus_dmin;
  explicit ByteScalesAndMinima(const uint8_t* super)
      : d(LoadHalf(HalvesAt(super))), minus_dmin(Negate(LoadHalf(HalvesAt(super + 32)))) {}
  F32x16 Scale(const uint8_t* at, size_t) const { return Times(d, LoadU8(at)); }
  F32x16 Minimum(const uint8_t* at, size_t) const { return Times(minus_dmin, LoadU8(at + 16)); }
};
template <>
struct Scales<BlockQ4_K> : ByteScalesAndMinima {
  using ByteScalesAndMinima::ByteScalesAndMinima;
};
template <>
struct Scales<BlockQ5_K> : ByteScalesAndMinima {
  using ByteScalesAndMinima::ByteScalesAndMinima;
};

// ---- small scales: w = d * scale * integer - dmin * minimum, where d and dmin are the band's ----

template <>
struct Scales<BlockQ2_K> {
  const uint8_t* super;
  explicit Scales(const uint8_t* of_band) : super(of_band) {}
  F32x16 OfBand() const { return LoadHalf(HalvesAt(super)); }
  F32x16 MinimumOfBand() const { return LoadHalf(HalvesAt(super + 32)); }
  static I32x16 Small(const uint8_t* at, size_t sub) { return ScalesOfNibbles(at + 16 * sub); }
  static I32x16 SmallMinima(const uint8_t* at) { return MinimaOfNibbles(at); }
};
template <>
struct Scales<BlockQ3_K> {
  const uint8_t* super;
  explicit Scales(const uint8_t* of_band) : super(of_band) {}
  F32x16 OfBand() const { return LoadHalf(HalvesAt(super)); }
  static I32x16 Small(const uint8_t* at, size_t sub) { return ScalesOfBytes(at + 16 * sub); }
};

// ---- blocks of 32 columns and 16 rows ----

// One where it lies in its panel. kMultipliesSums: as tokens are many enough or not.
template <typename Block, bool kSums = false>
struct PanelBlock {
  using Kind = KindOf<Block>;
  using F = panel::Format<Block>;
  static constexpr bool kMultipliesSums = kSums;
  static constexpr bool kIsPrepared = false;
  static constexpr bool kIsScaled = false;

  const uint8_t* planes;
  const uint8_t* scales;
  Integers<Block> integers;
  Scales<Block> shared;

  // The first of a band of `blocks`.
  static PanelBlock At(const uint8_t* band, size_t blocks) {
    const panel::Parts parts = F::PartsOf(blocks);
    return {band + parts.planes, band + parts.scales, {}, Scales<Block>(band)};
  }
  void Next() {
    planes += F::kPlaneBytes;
    scales += kPanelRows * F::kScaleBytes;
  }

  Factors<Kind::kMax> Group(size_t group) const {
    return FactorsOf<Kind::kMax>(integers.Group(planes + 64 * F::kHighBits, planes, group));
  }
  Bytes Summand(size_t group) const {
    return integers.Summand(planes + 64 * F::kHighBits, planes, group);
  }
  F32x16 Scale(size_t sub) const { return shared.Scale(scales, sub); }
  F32x16 Minimum(size_t sub) const { return shared.Minimum(scales, sub); }
  // Where scales are small.
  I32x16 SmallScale(size_t sub) const { return shared.Small(scales, sub); }
  I32x16 SmallMinima() const { return shared.SmallMinima(scales); }
  F32x16 ScaleOfBand() const { return shared.OfBand(); }
  F32x16 MinimumOfBand() const { return shared.MinimumOfBand(); }
};

// One as many tiles of tokens read it one after the other: what it takes to get a block out of its
// panel has been done.
// Where scales are small, a band begins with those of its floats that are the band's, and bytes may
// have taken their scales: kIsScaled.
template <typename BlockKind>
struct PreparedBlock {
  using Kind = BlockKind;
  static constexpr bool kMultipliesSums = Kind::kSums;
  static constexpr bool kIsPrepared = true;
  static constexpr bool kIsScaled = Kind::kSmallScales && kBytesTakeScales;
  static constexpr size_t kGroupBytes = Kind::kSums ? 64 : kFactorBytes<Kind::kMax>;
  static constexpr size_t kScalesAt = 8 * kGroupBytes;
  static constexpr size_t kMinimaAt = kScalesAt + (kIsScaled ? 0 : Kind::kSubs * 64);
  static constexpr size_t kMinimaBytes = !Kind::kMinimum      ? 0
                                         : Kind::kSmallScales ? 64
                                                              : Kind::kSubs * 64;
  static constexpr size_t kOwnAt = kMinimaAt + kMinimaBytes;
  static constexpr size_t kBytes = kOwnAt + (Kind::kSums ? 64 : 0);
  static constexpr size_t kBandBytes = !Kind::kSmallScales ? 0 : Kind::kMinimum ? 128 : 64;

  const uint8_t* bytes;
  const uint8_t* band = nullptr;

  // Of so many columns from the beginning of a band on.
  static constexpr size_t BytesOf(size_t columns) {
    const size_t bands = (columns + panel::kBandColumns - 1) / panel::kBandColumns;
    return bands * kBandBytes + columns / 32 * kBytes;
  }

  void BeginBand() {
    if constexpr (kBandBytes > 0) {
      band = bytes;
      bytes += kBandBytes;
    }
  }
  void Next() { bytes += kBytes; }
  Factors<Kind::kMax> Group(size_t group) const {
    return LoadFactors<Kind::kMax>(bytes + group * kGroupBytes);
  }
  Bytes Summand(size_t group) const { return LoadBytes(bytes + group * kGroupBytes); }
  const uint8_t* OwnProducts() const { return bytes + kOwnAt; }
  F32x16 Scale(size_t sub) const { return FloatsAt(bytes + kScalesAt + sub * 64); }
  F32x16 Minimum(size_t sub) const { return FloatsAt(bytes + kMinimaAt + sub * 64); }
  I32x16 SmallScale(size_t sub) const { return LoadInts(bytes + kScalesAt + sub * 64); }
  I32x16 SmallMinima() const { return LoadInts(bytes + kMinimaAt); }
  F32x16 ScaleOfBand() const { return FloatsAt(band); }
  F32x16 MinimumOfBand() const { return FloatsAt(band + 64); }

 private:
  static F32x16 FloatsAt(const uint8_t* at) { return Load(reinterpret_cast<const float*>(at)); }
};

inline void StoreFloats(F32x16 x, uint8_t* into) {
  Store(x, reinterpret_cast<float*>(into));
}

// Of quant.h, where kBytesTakeScales.
template <int kZero>
inline Bytes ScaleBytes(Bytes x, I32x16 scale);

template <typename Block>
requires kScalesAreSmall<Block>
inline void PrepareBlock(const PanelBlock<Block>& from, uint8_t* into) {
  using Kind = KindOf<Block>;
  using Prepared = PreparedBlock<Kind>;
#pragma GCC unroll 2
  for (size_t sub = 0; sub < 2; ++sub) {
    const I32x16 scale = from.SmallScale(sub);
    if constexpr (!Prepared::kIsScaled) StoreInts(scale, into + Prepared::kScalesAt + sub * 64);
#pragma GCC unroll 4
    for (size_t g = sub * 4; g < sub * 4 + 4; ++g) {
      auto factors = from.Group(g);
      if constexpr (Prepared::kIsScaled) factors = ScaleBytes<Kind::kZero>(factors, scale);
      StoreFactors<Kind::kMax>(factors, into + g * Prepared::kGroupBytes);
    }
  }
  if constexpr (Kind::kMinimum) StoreInts(from.SmallMinima(), into + Prepared::kMinimaAt);
}

template <typename Block>
inline void PrepareBlock(const PanelBlock<Block>& from, uint8_t* into) {
  using Kind = KindOf<Block>;
  using Prepared = PreparedBlock<Kind>;
  if constexpr (Kind::kSums) {
    StoreSummands(from, into, into + Prepared::kOwnAt);
  } else {
#pragma GCC unroll 8
    for (size_t g = 0; g < 8; ++g)
      StoreFactors<Kind::kMax>(from.Group(g), into + g * Prepared::kGroupBytes);
  }
#pragma GCC unroll 2
  for (size_t sub = 0; sub < Kind::kSubs; ++sub) {
    StoreFloats(from.Scale(sub), into + Prepared::kScalesAt + sub * 64);
    if constexpr (Kind::kMinimum)
      StoreFloats(from.Minimum(sub), into + Prepared::kMinimaAt + sub * 64);
  }
}

// What comes before a band's blocks.
template <typename Block>
inline void PrepareBand(const PanelBlock<Block>& first, uint8_t* into) {
  using Kind = KindOf<Block>;
  if constexpr (Kind::kSmallScales) {
    StoreFloats(first.ScaleOfBand(), into);
    if constexpr (Kind::kMinimum) StoreFloats(first.MinimumOfBand(), into + 64);
  }
}

// ---- their products: From is one of the two above, one for each panel side by side ----

template <size_t kSub, typename From, size_t kSideBySide, size_t kTokens>
inline void Dot(const From (&from)[kSideBySide], const OperandBlock* x,
                I32x16 (&dot)[kSideBySide][kTokens]) {
  using Kind = typename From::Kind;
  constexpr bool kSums = From::kMultipliesSums;
#pragma GCC unroll 16
  for (size_t t = 0; t < kTokens; ++t) {
    const I32x16 start = [&] {
      if constexpr (kSums)
        return StartOfSums<Kind>(x[t]);
      else
        return StartOf<Kind, kSub>(x[t]);
    }();
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) dot[p][t] = start;
  }
  if constexpr (kSums) {
    DotSums(from, x, dot);
  } else {
    constexpr size_t kGroups = 8 / Kind::kSubs;
    DotGroups<kSub * kGroups, kGroups>(from, x, dot);
  }
}

template <typename From, size_t kSideBySide, size_t kTokens>
inline void AddMinimum(const From (&from)[kSideBySide], const OperandBlock* x,
                       F32x16 (&sums)[kSideBySide][kTokens]) {
  static_assert(From::Kind::kSubs == 1);
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
    const F32x16 minimum = from[p].Minimum(0);
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) sums[p][t] = Fma(minimum, Broadcast(x[t].sum), sums[p][t]);
  }
}

// sums += dots of sub-block kSub * scale, and, where x has a scale for these 32 columns alone,
// times that.
template <size_t kSub, typename From, size_t kSideBySide, size_t kTokens>
inline void AddSubBlock(const From (&from)[kSideBySide], const OperandBlock* x,
                        F32x16 (&sums)[kSideBySide][kTokens]) {
  I32x16 dot[kSideBySide][kTokens];
  Dot<kSub>(from, x, dot);
#pragma GCC unroll 2
  for (size_t p = 0; p < kSideBySide; ++p) {
    const F32x16 scale = from[p].Scale(kSub);
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      const F32x16 both = From::Kind::kSuper ? scale : Times(scale, Broadcast(x[t].scale));
      sums[p][t] = Fma(ToFloat(dot[p][t]), both, sums[p][t]);
    }
  }
}

template <typename From, size_t kSideBySide, size_t kTokens>
inline void AddBlock(const From (&from)[kSideBySide], const OperandBlock* x,
                     F32x16 (&sums)[kSideBySide][kTokens]) {
  using Kind = typename From::Kind;
  static_assert(Kind::kSubs == 1 || Kind::kSuper);
  AddSubBlock<0>(from, x, sums);
  if constexpr (Kind::kSubs == 2) AddSubBlock<1>(from, x, sums);
  if constexpr (Kind::kMinimum) AddMinimum(from, x, sums);
}

// `blocks` of them, one after the other; before(b) comes before block b. x: of the first block.
template <typename From, size_t kSideBySide, size_t kTokens, typename Before>
inline void AddBlocks(From (&from)[kSideBySide], size_t blocks, const OperandBlock* x, size_t tile,
                      const Before& before, F32x16 (&sums)[kSideBySide][kTokens]) {
  for (size_t b = 0; b < blocks; ++b, x += tile) {
    before(b);
    AddBlock(from, x, sums);
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) from[p].Next();
  }
}

#include "kernels/cpu/small_scales.h"

// AddBlocks() for what x has one scale for, if it has: a band.
template <typename From, size_t kSideBySide, size_t kTokens, typename Before>
inline void AddBand(From (&from)[kSideBySide], size_t blocks, const OperandBlock* x, size_t tile,
                    const Before& before, F32x16 (&sums)[kSideBySide][kTokens]) {
  if constexpr (From::Kind::kSmallScales) {
    AddSmallBand(from, x, tile, before, sums);
  } else if constexpr (From::Kind::kSuper) {
    F32x16 parts[kSideBySide][kTokens];
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) Clear<kTokens>(parts[p]);
    // Many wait in memory: registers are for parts.
    if constexpr (kSideBySide * kTokens > 8) asm volatile("" : "+m"(sums));
    AddBlocks(from, blocks, x, tile, before, parts);
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) {
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t)
        sums[p][t] = Fma(parts[p][t], Broadcast(x[t].scale), sums[p][t]);
    }
  } else {
    AddBlocks(from, blocks, x, tile, before, sums);
  }
}

inline const OperandBlock* BlocksOf(const Operands& operands, size_t column) {
  return reinterpret_cast<const OperandBlock*>(operands.bytes) + column / 32 * operands.tile +
         operands.first;
}

// ---- as the loops over tokens and panels want them (products.h) ----

// Two panels share each broadcast where there are registers: two of them a token and panel, and
// what minima of sub-blocks take.
template <typename Kind>
constexpr size_t kBlockTokens = !kWideRegisters    ? kTileTokens
                                : Kind::kSubs == 1 ? 6
                                                   : 4;
// Bytes that have taken their scales leave registers for more, but where minima want them.
template <typename Kind>
constexpr size_t kPreparedTokens =
    PreparedBlock<Kind>::kIsScaled && !Kind::kMinimum ? 6 : kBlockTokens<Kind>;

// A tile of no more than these goes at once, so that blocks come out of their panel once.
template <typename Kind>
constexpr size_t kBlockTokensMax = kWideRegisters&& Kind::kSubs == 1 ? 8 : kBlockTokens<Kind>;

// Weights that BlockWeights has prepared.
template <typename BlockKind>
struct PreparedWeights {
  using Kind = BlockKind;
  using Block = PreparedBlock<Kind>;
  static constexpr OperandKind kOperand = Kind::kOperand;
  // Sums of one panel leave whole tiles registers.
  static constexpr size_t kTokensAtOnce =
      Kind::kSums && kPanelsOfSums == 1 ? kTileTokens : kPreparedTokens<Kind>;
  static constexpr size_t kTokensMax = kTokensAtOnce;

  template <size_t kTokens, size_t kSideBySide>
  static void Accumulate(const uint8_t* prepared, const Columns& columns, const Operands& operands,
                         F32x16 (&sums)[kSideBySide][kTokens]) {
    Block from[kSideBySide];
    for (size_t p = 0; p < kSideBySide; ++p)
      from[p] = {prepared + p * Block::BytesOf(columns.end - columns.begin)};
    for (size_t k = columns.begin; k < columns.end; k += panel::kBandColumns) {
      for (size_t p = 0; p < kSideBySide; ++p) from[p].BeginBand();
      AddBand(
          from, panel::BandBlocks(k, columns.end), BlocksOf(operands, k), operands.tile,
          [](size_t) {}, sums);
    }
  }
};

// kSums: whether blocks multiply sums as they come out of their panels.
template <typename BlockType, bool kSums = false>
struct BlockWeights {
  using Kind = KindOf<BlockType>;
  using F = panel::Format<BlockType>;
  using Prepared = PreparedWeights<Kind>;
  using Summed = BlockWeights<BlockType, Kind::kSums>;
  using Block = PanelBlock<BlockType, kSums>;
  static constexpr OperandKind kOperand = Kind::kOperand;
  static constexpr size_t kTokensAtOnce = kSums ? kTileTokens : kBlockTokens<Kind>;
  static constexpr size_t kTokensMax = kSums ? kTileTokens : kBlockTokensMax<Kind>;
  static constexpr size_t kPanelsOfMany = kWideRegisters && !kSums ? 2 : 1;
  // One stream of weights, from one end to the other, is what is fetched fastest (StreamAhead()).
  static constexpr size_t kPanelsOfFew = 1;
  static constexpr size_t kPanelsOfOne = 1;
  static constexpr size_t kTokensByPanel = kTokensOfOnePanel / Kind::kSubs;
  // Sums are worth it where a block comes out of its panel for so many tokens, if there are sums;
  // the more bits, the more of them. Two panels at a time are worth preparing only.
  static constexpr size_t kTokensOfSums = !Kind::kSums || kPanelsOfSums > 1 ? 0
                                          : F::kHighBits == 0               ? 7
                                                                            : 9;
  // Preparing is worth it but where processors have instructions and registers for so much work at
  // a time that panels are hardly in the way.
  static constexpr bool kPrepares = !kWideRegisters || Kind::kSubs == 2 || Kind::kSums;
  // One tile's weights are best read in their order.
  static constexpr size_t kTokensInOrder = kTileTokens;
  static constexpr size_t kColumnsAtOnce = kPrepares && !Kind::kSums ? kColumnsInL1 : kColumnsInL2;
  static constexpr size_t kTokensUnprepared = kTileTokens * (!Kind::kSums        ? 1
                                                             : F::kHighBits == 0 ? 3
                                                                                 : kPanelsOfSums);
  static constexpr size_t kTokensPerPass = kernels::kTokensPerPass;
  static constexpr size_t kPanelsPrepared = Kind::kSums ? kPanelsOfSums : kPanelsOfMany;
  static constexpr size_t kPreparedBytes =
      kPanelsPrepared * PreparedBlock<Kind>::BytesOf(kColumnsAtOnce);

  static size_t PanelBytes(size_t columns) { return F::PanelBytes(columns); }

  template <size_t kSideBySide>
  static void Prepare(const uint8_t* panels, const Columns& columns, uint8_t* into) {
    const size_t stride = PanelBytes(columns.all);
    for (size_t p = 0; p < kSideBySide; ++p) {
      for (size_t k = columns.begin; k < columns.end; k += panel::kBandColumns) {
        const uint8_t* band = panels + p * stride + F::BandAt(k);
        const size_t blocks = panel::BandBlocks(k, columns.all);
        Block from = Block::At(band, blocks);
        PrepareBand(from, into);
        into += PreparedBlock<Kind>::kBandBytes;
        for (size_t b = 0; b < blocks; ++b, into += PreparedBlock<Kind>::kBytes) {
          PrefetchEighth(band + kSideBySide * stride, b);
          PrepareBlock(from, into);
          from.Next();
        }
      }
    }
  }

  template <size_t kTokens, size_t kSideBySide>
  static void Accumulate(const uint8_t* panels, const Columns& columns, const Operands& operands,
                         F32x16 (&sums)[kSideBySide][kTokens]) {
    const size_t stride = PanelBytes(columns.all);
    const size_t ahead = StreamAhead();
    for (size_t k = columns.begin; k < columns.end; k += panel::kBandColumns) {
      const uint8_t* band = panels + F::BandAt(k);
      const size_t blocks = panel::BandBlocks(k, columns.all);
      if constexpr (kSideBySide == 1) PrefetchScales(band);
      auto from = SideBySide<kSideBySide>(band, stride, blocks);
      const auto prefetch = [&](size_t b) {
        if constexpr (kSideBySide > 1) {
#pragma GCC unroll 2
          for (size_t p = kSideBySide; p < 2 * kSideBySide; ++p)
            PrefetchEighth(band + p * stride, b);
        } else if constexpr (kTokens <= kTokensOfStream) {
          if (ahead != 0) PrefetchEighth(band + ahead, b);
        } else {
          PrefetchEighth(band + stride, b);
        }
      };
      AddBand(from.of, blocks, BlocksOf(operands, k), operands.tile, prefetch, sums);
    }
  }

 private:
  template <size_t kSideBySide>
  struct PerPanel {
    Block of[kSideBySide];
  };
  template <size_t kSideBySide>
  static PerPanel<kSideBySide> SideBySide(const uint8_t* band, size_t stride, size_t blocks) {
    static_assert(kSideBySide <= 2);
    if constexpr (kSideBySide == 1) {
      return {{Block::At(band, blocks)}};
    } else {
      return {{Block::At(band, blocks), Block::At(band + stride, blocks)}};
    }
  }

  // Asks for what lies before a band's planes, so that lines are asked for in their order: its
  // blocks come back to these lines now and then.
  static void PrefetchScales(const uint8_t* band) {
    constexpr size_t kBytes = F::PartsOf(panel::kBandBlocks).planes;
#pragma GCC unroll 16
    for (size_t i = 0; i < kBytes; i += 64) Prefetch(band + i);
  }
  // Asks for an eighth of a band, while as much is multiplied.
  static void PrefetchEighth(const uint8_t* band, size_t eighth) {
    constexpr size_t kBytes = F::BandAt(panel::kBandColumns) / panel::kBandBlocks;
    PrefetchWeights<kBytes>(band, eighth * kBytes);
  }
};
