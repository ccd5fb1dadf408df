// The kernels of every CPU instruction set, written once over the sixteen lanes of vec.h and the
// integer dot products of quant.h. Included by table.cc alone, inside its anonymous namespace,
// after those two. Because each lane follows the order that kernels/table.h fixes, all sets give
// the same bits.

// ---- matrix products ----

// Where one tile's sums of one panel go.
struct TileTarget {
  float* into;
  size_t stride;
  const float* bias;
  Mask rows;
  bool accumulate;
};

inline TileTarget TargetOf(const MatrixProduct& p, size_t token, size_t row) {
  return {p.into + token * p.into_stride + row, p.into_stride,
          p.bias == nullptr ? nullptr : p.bias + row, FirstLanes(p.rows - row), p.accumulate};
}

template <size_t kTokens>
inline void StoreTile(const TileTarget& target, const F32x16* sums) {
  const F32x16 bias = target.bias == nullptr ? Zero() : Load(target.bias, target.rows);
#pragma GCC unroll 16
  for (size_t t = 0; t < kTokens; ++t) {
    float* into = target.into + t * target.stride;
    F32x16 sum = target.bias == nullptr ? sums[t] : Add(sums[t], bias);
    if (target.accumulate) sum = Add(Load(into, target.rows), sum);
    Store(sum, into, target.rows);
  }
}

template <size_t kTokens>
inline void Clear(F32x16* sums) {
#pragma GCC unroll 16
  for (size_t t = 0; t < kTokens; ++t) sums[t] = Zero();
}

// Asks for kBytes of weights that many bytes ahead. Behind the end of a panel begins the next one;
// behind the last, a prefetch does nothing.
template <size_t kBytes>
inline void PrefetchWeights(const void* weights, size_t ahead) {
#pragma GCC unroll 8
  for (size_t i = 0; i < kBytes; i += 64)
    Prefetch(static_cast<const uint8_t*>(weights) + ahead + i);
}

// Columns [begin, end) of rows that have `all` of them.
struct Columns {
  size_t begin;
  size_t end;
  size_t all;
};

// Tokens from `first` on of an operand tile of `tile` tokens.
struct Operands {
  const uint8_t* bytes;
  size_t tile;
  size_t first;
};

struct F32Weights {
  static constexpr size_t kTokensAtOnce = kTileTokens;
  // A single token waits for each addition, so several panels go side by side; many share each
  // broadcast among two panels if there are registers.
  template <size_t kTokens>
  static constexpr size_t kPanels = kTokens == 1                    ? 4
                                    : kTokens < 4 || kWideRegisters ? 2
                                                                    : 1;

  static size_t PanelBytes(size_t columns) { return columns * kPanelRows * sizeof(float); }

  template <size_t kTokens, size_t kSideBySide>
  static void Accumulate(const uint8_t* panels, const Columns& columns, const Operands& operands,
                         F32x16 (&sums)[kSideBySide][kTokens]) {
    const auto* w = reinterpret_cast<const float*>(panels) + columns.begin * kPanelRows;
    const size_t stride = columns.all * kPanelRows;
    const auto* x = reinterpret_cast<const float*>(operands.bytes) + columns.begin * operands.tile +
                    operands.first;
    for (size_t k = columns.begin; k < columns.end; ++k, w += kPanelRows, x += operands.tile) {
      F32x16 weights[kSideBySide];
#pragma GCC unroll 4
      for (size_t p = 0; p < kSideBySide; ++p) {
        weights[p] = Load(w + p * stride);
        if constexpr (kTokens < kTileTokens) PrefetchWeights<1>(w + p * stride, 4096);
      }
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t) {
        const F32x16 lanes = Broadcast(x[t]);
#pragma GCC unroll 4
        for (size_t p = 0; p < kSideBySide; ++p) sums[p][t] = Fma(weights[p], lanes, sums[p][t]);
      }
    }
  }
};

// F16 becomes BF16, as panels keep it.
void PackF16(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  if (count < kPanelRows) __builtin_memset(panel, 0, panel::BrainPanelBytes(columns));
  for (size_t k = 0; k < columns; k += 16) {
    const size_t n = columns - k < 16 ? columns - k : 16;
    for (size_t r = 0; r < count; ++r) {
      uint16_t halves[16] = {};
      __builtin_memcpy(halves, rows + (r * columns + k) * sizeof(Half), n * sizeof(Half));
      uint32_t pairs[8];
      StoreBrainFactors(LoadHalf(halves), pairs);
      for (size_t i = 0; i < (n + 1) / 2; ++i)
        __builtin_memcpy(panel + (k / 2 + i) * 64 + r * 4, &pairs[i], 4);
    }
  }
}

// BF16 weights and activations, two of each at a time.
struct BrainWeights {
  static constexpr size_t kTokensAtOnce = kTileTokens;
  template <size_t kTokens>
  static constexpr size_t kPanels = kTokens == 1                    ? 4
                                    : kTokens < 4 || kWideRegisters ? 2
                                                                    : 1;

  static size_t PanelBytes(size_t columns) { return panel::BrainPanelBytes(columns); }

  template <size_t kTokens, size_t kSideBySide>
  static void Accumulate(const uint8_t* panels, const Columns& columns, const Operands& operands,
                         F32x16 (&sums)[kSideBySide][kTokens]) {
    const size_t stride = PanelBytes(columns.all);
    const uint8_t* w = panels + columns.begin / 2 * 64;
    const auto* x = reinterpret_cast<const uint32_t*>(operands.bytes) +
                    columns.begin / 2 * operands.tile + operands.first;
    for (size_t k = columns.begin; k < columns.end; k += 2, w += 64, x += operands.tile) {
      BrainPairs weights[kSideBySide];
#pragma GCC unroll 4
      for (size_t p = 0; p < kSideBySide; ++p) {
        weights[p] = LoadPairs(w + p * stride);
        if constexpr (kTokens < kTileTokens) PrefetchWeights<1>(w + p * stride, 4096);
      }
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t) {
        const BrainPairs pair = BroadcastPair(x[t]);
#pragma GCC unroll 4
        for (size_t p = 0; p < kSideBySide; ++p)
          sums[p][t] = DotPairs(weights[p], pair, sums[p][t]);
      }
    }
  }
};

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
template <typename Block>
struct Integers {
  using F = panel::Format<Block>;
  static constexpr int kMax = (1 << (F::kLowBits + F::kHighBits)) - 1;
  static constexpr int kZero = Block::kZero;

  Bytes Group(const uint8_t* low, const uint8_t* high, size_t group) const {
    const Bytes bits = PlaneBits<F::kLowBits, 0>(low, group);
    if constexpr (F::kLowBits == 8) return bits;
    constexpr uint8_t kMask = (1 << F::kLowBits) - 1;
    if constexpr (F::kHighBits == 0) return And(bits, kMask);
    return Join(
        bits, kMask,
        And(PlaneBits<F::kHighBits, F::kLowBits>(high, group), static_cast<uint8_t>(kMax - kMask)));
  }
};

// Values of a codebook, 128 up.
template <typename Block, const int8_t (&kCodebook)[16]>
struct CodebookIntegers {
  static constexpr int kMax = 255;
  static constexpr int kZero = 128;
  Bytes table = LoadTable(kCodebook, 128);

  Bytes Group(const uint8_t* low, const uint8_t*, size_t group) const {
    return LookUp(table, And(PlaneBits<4, 0>(low, group), 15));
  }
};
template <>
struct Integers<BlockIQ4_NL> : CodebookIntegers<BlockIQ4_NL, kCodebookIQ4> {};
template <>
struct Integers<BlockIQ4_XS> : CodebookIntegers<BlockIQ4_XS, kCodebookIQ4> {};
template <>
struct Integers<BlockMXFP4> : CodebookIntegers<BlockMXFP4, kCodebookMXFP4> {};

// Where the dot product of sub-block kSub begins, so that kZero counts as zero.
template <typename Block, size_t kSub>
inline I32x16 StartOf(const OperandBlock& x) {
  constexpr int kZero = Integers<Block>::kZero;
  if constexpr (kZero == 128) return StartOfBytes(x);
  if constexpr (kZero == 8) return BroadcastInt(x.offset8);
  if constexpr (kZero == 16) return Twice(BroadcastInt(x.offset8));
  if constexpr (kZero == 32) return BroadcastInt(x.offset32[kSub]);
  if constexpr (kZero == 4) return Eighth(BroadcastInt(x.offset32[kSub]));
  return BroadcastInt(0);
}

// ---- scales of the sub-blocks of a block of 32: w = scale * integer + minimum ----

template <typename Block>
struct Scales {  // F16 d, F16 m
  explicit Scales(const uint8_t*) {}
  F32x16 Scale(const uint8_t* at, size_t) const { return LoadHalf(HalvesAt(at)); }
  F32x16 Minimum(const uint8_t* at, size_t) const { return LoadHalf(HalvesAt(at + 32)); }
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
struct Scales<BlockQ3_K> : SignedScales {
  using SignedScales::SignedScales;
};
template <>
struct Scales<BlockQ6_K> : SignedScales {
  using SignedScales::SignedScales;
};
template <>
struct Scales<BlockIQ4_XS> : SignedScales {
  using SignedScales::SignedScales;
};
struct ScalesAndMinima {
  F32x16 d;
  F32x16 minus_dmin;
  explicit ScalesAndMinima(const uint8_t* super)
      : d(LoadHalf(HalvesAt(super))), minus_dmin(Negate(LoadHalf(HalvesAt(super + 32)))) {}
};
template <>
struct Scales<BlockQ2_K> : ScalesAndMinima {
  using ScalesAndMinima::ScalesAndMinima;
  F32x16 Scale(const uint8_t* at, size_t sub) const {
    return Times(d, LoadLowNibbles(at + 16 * sub));
  }
  F32x16 Minimum(const uint8_t* at, size_t sub) const {
    return Times(minus_dmin, LoadHighNibbles(at + 16 * sub));
  }
};
struct ByteScalesAndMinima : ScalesAndMinima {
  using ScalesAndMinima::ScalesAndMinima;
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

// ---- products with quantised weights ----

template <typename Block>
struct BlockWeights {
  using F = panel::Format<Block>;
  static constexpr size_t kSubs = 32 / Block::kSubBlock;
  // Two panels share each broadcast where there are registers: two of them a token and panel, three
  // with sub-blocks.
  static constexpr size_t kTokensAtOnce = !kWideRegisters ? kTileTokens : kSubs == 1 ? 6 : 4;
  template <size_t kTokens>
  static constexpr size_t kPanels = kWideRegisters&& kTokens > 1 ? 2 : 1;

  static size_t PanelBytes(size_t columns) { return F::PartsOf(columns).total; }

  // Where one block of 32 columns of the first panel lies; the next one is `stride` bytes on.
  struct Place {
    const uint8_t* low;
    const uint8_t* high;
    const uint8_t* scales;
    size_t stride;
  };

  template <size_t kSub, size_t kTokens, size_t kSideBySide>
  static void Dot(const Integers<Block>& integers, const Place& at, const OperandBlock* x,
                  I32x16 (&dot)[kSideBySide][kTokens]) {
    constexpr size_t kFirst = kSub * 8 / kSubs;
    constexpr size_t kCount = 8 / kSubs;
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      const I32x16 start = StartOf<Block, kSub>(x[t]);
#pragma GCC unroll 2
      for (size_t p = 0; p < kSideBySide; ++p) dot[p][t] = start;
    }
    if constexpr (kSideBySide == 1) {
      DotGroups<kTokens, kFirst, kCount>(integers, at.low, at.high, x, dot[0]);
    } else {
      DotGroupsOfPanels<kTokens, kSideBySide, kFirst, kCount>(integers, at.low, at.high, at.stride,
                                                              x, dot);
    }
  }

  template <size_t kSub, size_t kTokens, size_t kSideBySide>
  static void AddMinimum(const Scales<Block>* shared, const Place& at, const OperandBlock* x,
                         F32x16 (&sums)[kSideBySide][kTokens]) {
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) {
      const F32x16 minimum = shared[p].Minimum(at.scales + p * at.stride, kSub);
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t) {
        const float xs = kSubs == 1 ? x[t].scaled_sum : x[t].scaled_half_sums[kSub];
        sums[p][t] = Fma(minimum, Broadcast(xs), sums[p][t]);
      }
    }
  }

  // sums += dots * (scale * scale of x).
  template <size_t kTokens, size_t kSideBySide>
  static void AddWhole(const Integers<Block>& integers, const Scales<Block>* shared,
                       const Place& at, const OperandBlock* x,
                       F32x16 (&sums)[kSideBySide][kTokens]) {
    I32x16 dot[kSideBySide][kTokens];
    Dot<0>(integers, at, x, dot);
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) {
      const F32x16 scale = shared[p].Scale(at.scales + p * at.stride, 0);
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t) {
        sums[p][t] = Fma(ToFloat(dot[p][t]), Times(scale, Broadcast(x[t].scale)), sums[p][t]);
      }
    }
    if constexpr (Block::kMinimum) AddMinimum<0>(shared, at, x, sums);
  }

  template <size_t kTokens, size_t kSideBySide>
  static void AddHalves(const Integers<Block>& integers, const Scales<Block>* shared,
                        const Place& at, const OperandBlock* x,
                        F32x16 (&sums)[kSideBySide][kTokens]) {
    I32x16 dot[kSideBySide][kTokens];
    F32x16 both[kSideBySide][kTokens];
    Dot<0>(integers, at, x, dot);
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) {
      const F32x16 first = shared[p].Scale(at.scales + p * at.stride, 0);
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t) both[p][t] = Times(ToFloat(dot[p][t]), first);
    }
    Dot<1>(integers, at, x, dot);
#pragma GCC unroll 2
    for (size_t p = 0; p < kSideBySide; ++p) {
      const F32x16 second = shared[p].Scale(at.scales + p * at.stride, 1);
#pragma GCC unroll 16
      for (size_t t = 0; t < kTokens; ++t) {
        both[p][t] = Fma(ToFloat(dot[p][t]), second, both[p][t]);
        sums[p][t] = Fma(both[p][t], Broadcast(x[t].scale), sums[p][t]);
      }
    }
    if constexpr (Block::kMinimum) {
      AddMinimum<0>(shared, at, x, sums);
      AddMinimum<1>(shared, at, x, sums);
    }
  }

  template <size_t kTokens, size_t kSideBySide>
  static void Accumulate(const uint8_t* panels, const Columns& columns, const Operands& operands,
                         F32x16 (&sums)[kSideBySide][kTokens]) {
    constexpr size_t kBlocks = Block::kElements / 32;
    const panel::Parts parts = F::PartsOf(columns.all);
    const size_t first_block = columns.begin / 32;
    Place at{panels + first_block * 64 * F::kLowBits,
             panels + parts.high + first_block * 64 * F::kHighBits,
             panels + parts.scales + first_block * kPanelRows * F::kScaleBytes, parts.total};
    const uint8_t* super = panels + parts.super + columns.begin / 256 * kPanelRows * F::kSuperBytes;
    const auto* x = reinterpret_cast<const OperandBlock*>(operands.bytes) +
                    first_block * operands.tile + operands.first;
    const Integers<Block> integers;
    for (size_t k = columns.begin; k < columns.end; k += Block::kElements) {
      const auto shared = ScalesOf<kSideBySide>(super, parts.total);
      super += F::kSuperBytes * kPanelRows;
      for (size_t s = 0; s < kBlocks; ++s, x += operands.tile) {
        // The same place in the next panels: parts are too short for anything nearer.
#pragma GCC unroll 2
        for (size_t p = 0; p < kSideBySide; ++p) {
          const size_t ahead = (kSideBySide + p) * parts.total;
          PrefetchWeights<64 * F::kLowBits>(at.low, ahead);
          PrefetchWeights<64 * F::kHighBits>(at.high, ahead);
          PrefetchWeights<1>(at.scales, ahead);
        }
        if constexpr (kSubs == 1) {
          AddWhole(integers, shared.of, at, x, sums);
        } else {
          AddHalves(integers, shared.of, at, x, sums);
        }
        at.low += 64 * F::kLowBits;
        at.high += 64 * F::kHighBits;
        at.scales += kPanelRows * F::kScaleBytes;
      }
    }
  }

 private:
  template <size_t kSideBySide>
  struct PerPanel {
    Scales<Block> of[kSideBySide];
  };
  template <size_t kSideBySide>
  static PerPanel<kSideBySide> ScalesOf(const uint8_t* super, size_t stride) {
    static_assert(kSideBySide <= 2);
    if constexpr (kSideBySide == 1) {
      return {{Scales<Block>(super)}};
    } else {
      return {{Scales<Block>(super), Scales<Block>(super + stride)}};
    }
  }
};

// ---- all tokens against all rows ----

// So many columns of a tile of operands stay in L1 while panels pass by; sums wait in memory.
constexpr size_t kColumnsAtOnce = 512;
// Panels that pass by before the next columns.
constexpr size_t kPanelsAtOnce = 16;

// One tile of tokens against some panels.
struct TileWork {
  const MatrixProduct& product;
  size_t token;
  size_t tokens;
  const uint8_t* operands;
  size_t first_panel;
  float (&sums)[kPanelsAtOnce][kTileTokens][kPanelRows];  // between columns
};

template <typename Weights, size_t kTokens, size_t kSideBySide>
inline void RunPanels(const TileWork& work, size_t panel, size_t first_token,
                      const Columns& columns) {
  const MatrixProduct& product = work.product;
  F32x16 sums[kSideBySide][kTokens];
#pragma GCC unroll 4
  for (size_t p = 0; p < kSideBySide; ++p) {
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      sums[p][t] = columns.begin == 0
                       ? Zero()
                       : Load(work.sums[panel - work.first_panel + p][first_token + t]);
    }
  }
  Weights::template Accumulate<kTokens, kSideBySide>(
      product.panels + panel * Weights::PanelBytes(product.columns), columns,
      {work.operands, work.tokens, first_token}, sums);
#pragma GCC unroll 4
  for (size_t p = 0; p < kSideBySide; ++p) {
    if (columns.end == columns.all) {
      StoreTile<kTokens>(TargetOf(product, work.token + first_token, (panel + p) * kPanelRows),
                         sums[p]);
      continue;
    }
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      Store(sums[p][t], work.sums[panel - work.first_panel + p][first_token + t]);
    }
  }
}

// Up to kTokens tokens against panels [first_panel, end).
template <typename Weights, size_t kTokens>
inline void RunTokens(const TileWork& work, size_t tokens, size_t first_token, size_t end,
                      const Columns& columns) {
  if constexpr (kTokens > 1) {
    if (tokens < kTokens) {
      return RunTokens<Weights, kTokens - 1>(work, tokens, first_token, end, columns);
    }
  }
  constexpr size_t kMany = Weights::template kPanels<kTokens>;
  size_t panel = work.first_panel;
  for (; panel + kMany <= end; panel += kMany) {
    RunPanels<Weights, kTokens, kMany>(work, panel, first_token, columns);
  }
  if constexpr (kMany > 1) {
    for (; panel < end; ++panel) {
      RunPanels<Weights, kTokens, 1>(work, panel, first_token, columns);
    }
  }
}

// As OperandBytes(), without a symbol to share.
template <OperandKind kOperand>
inline size_t BytesOfOperand(size_t columns) {
  if constexpr (kOperand == OperandKind::kFloat) return columns * sizeof(float);
  if constexpr (kOperand == OperandKind::kBrain) return (columns + 1) / 2 * sizeof(uint32_t);
  return columns / 32 * sizeof(OperandBlock);
}

template <typename Weights, OperandKind kOperand>
void MultiplyAll(const MatrixProduct& product) {
  alignas(64) float sums[kPanelsAtOnce][kTileTokens][kPanelRows];
  const size_t token_bytes = BytesOfOperand<kOperand>(product.columns);
  const size_t panels = (product.rows + kPanelRows - 1) / kPanelRows;
  for (size_t token = 0; token < product.tokens; token += kTileTokens) {
    const size_t rest = product.tokens - token;
    const size_t tokens = rest < kTileTokens ? rest : kTileTokens;
    // Few tokens wait for weights, which are best read in their order.
    const size_t at_once = tokens < 4 ? product.columns : kColumnsAtOnce;
    for (size_t panel = 0; panel < panels; panel += kPanelsAtOnce) {
      const TileWork work{product, token, tokens, product.operands + token * token_bytes,
                          panel,   sums};
      const size_t end = panel + kPanelsAtOnce < panels ? panel + kPanelsAtOnce : panels;
      for (size_t k = 0; k < product.columns; k += at_once) {
        const Columns columns{k, k + at_once < product.columns ? k + at_once : product.columns,
                              product.columns};
        for (size_t first = 0; first < tokens; first += Weights::kTokensAtOnce) {
          RunTokens<Weights, Weights::kTokensAtOnce>(work, tokens - first, first, end, columns);
        }
      }
    }
  }
}

// ---- activations ----

inline OperandBlock Quantize(const float* x) {
  OperandBlock block{};
  const uint32_t largest = LargestMagnitude32(x);
  float amax;
  __builtin_memcpy(&amax, &largest, sizeof(amax));
  if (amax < 1e-30f) return block;
  block.scale = amax / 127.0f;
  if (largest >= 0x7f800000u) {
    block.scale = block.scaled_sum = __builtin_nanf("");
    block.scaled_half_sums[0] = block.scaled_half_sums[1] = block.scale;
    return block;
  }
  const float inverse = 127.0f / amax;
  const int32_t first = Quantize16(x, inverse, block.q);
  const int32_t second = Quantize16(x + 16, inverse, block.q + 16);
  const int32_t sum = first + second;
  block.scaled_sum = block.scale * static_cast<float>(sum);
  block.scaled_half_sums[0] = block.scale * static_cast<float>(first);
  block.scaled_half_sums[1] = block.scale * static_cast<float>(second);
  block.offset8 = -8 * sum;
  block.offset128 = -128 * sum;
  block.offset32[0] = -32 * first;
  block.offset32[1] = -32 * second;
  return block;
}

void PrepareInt8(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  auto* blocks = reinterpret_cast<OperandBlock*>(into) + at;
  for (size_t b = 0; b < columns / 32; ++b) blocks[b * tile] = Quantize(x + b * 32);
}

void PrepareFloat(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  auto* floats = reinterpret_cast<float*>(into) + at;
  for (size_t k = 0; k < columns; ++k) floats[k * tile] = x[k];
}

void PrepareBrain(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  auto* pairs = reinterpret_cast<uint32_t*>(into) + at;
  for (size_t k = 0; k < columns; k += 16) {
    const size_t count = columns - k < 16 ? columns - k : 16;
    uint32_t converted[8];
    StoreBrainFactors(Load(x + k, FirstLanes(count)), converted);
    for (size_t i = 0; i < (count + 1) / 2; ++i) pairs[(k / 2 + i) * tile] = converted[i];
  }
}

// ---- row operations ----

inline Mask LanesFrom(size_t i, size_t n) {
  return FirstLanes(n - i);
}

void RmsNorm(const float* x, const float* weight, float epsilon, size_t n, float* into) {
  F32x16 squares = Zero();
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 lanes = Load(x + i, LanesFrom(i, n));
    squares = Fma(lanes, lanes, squares);
  }
  const float mean = Sum(squares) / static_cast<float>(n);
  const F32x16 inverse = Broadcast(1.0f / __builtin_sqrtf(mean + epsilon));
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 scaled = Times(Load(x + i, mask), inverse);
    Store(Times(scaled, Load(weight + i, mask)), into + i, mask);
  }
}

// As kernels/reference: 2^n p(r), NaN stays NaN.
inline F32x16 Exp(F32x16 x) {
  x = Min(Broadcast(88.0f), Max(Broadcast(-87.0f), x));
  const F32x16 n = Round(Times(x, Broadcast(1.44269504f)));
  const F32x16 r = Fma(n, Broadcast(2.12194440e-4f), Fma(n, Broadcast(-0.693359375f), x));
  F32x16 p = Broadcast(1.0f / 5040);
  p = Fma(p, r, Broadcast(1.0f / 720));
  p = Fma(p, r, Broadcast(1.0f / 120));
  p = Fma(p, r, Broadcast(1.0f / 24));
  p = Fma(p, r, Broadcast(1.0f / 6));
  p = Fma(p, r, Broadcast(0.5f));
  p = Fma(p, r, Broadcast(1.0f));
  p = Fma(p, r, Broadcast(1.0f));
  return Times(p, PowerOfTwo(n));
}

void SiluMultiply(const float* gate, const float* up, size_t n, float* into) {
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 x = Load(gate + i, mask);
    const F32x16 silu = Divide(x, Add(Broadcast(1.0f), Exp(Negate(x))));
    Store(Times(silu, Load(up + i, mask)), into + i, mask);
  }
}

void GeluMultiply(const float* gate, const float* up, size_t n, float* into) {
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 x = Load(gate + i, mask);
    const F32x16 bent = Fma(Times(x, x), Times(x, Broadcast(0.044715f)), x);
    const F32x16 power = Exp(Times(bent, Broadcast(-1.59576912f)));
    const F32x16 gelu = Divide(x, Add(Broadcast(1.0f), power));
    Store(Times(gelu, Load(up + i, mask)), into + i, mask);
  }
}

void ClampedSwiglu(const float* gate, const float* up, size_t n, float* into) {
  const F32x16 limit = Broadcast(7.0f);
  const F32x16 one = Broadcast(1.0f);
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    const F32x16 g = Min(limit, Load(gate + i, mask));
    const F32x16 u = Max(Broadcast(-7.0f), Min(limit, Load(up + i, mask)));
    const F32x16 glu = Divide(g, Add(one, Exp(Times(g, Broadcast(-1.702f)))));
    Store(Times(glu, Add(u, one)), into + i, mask);
  }
}

void AddScaled(const float* x, float scale, size_t n, float* into) {
  const F32x16 factor = Broadcast(scale);
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    Store(Fma(Load(x + i, mask), factor, Load(into + i, mask)), into + i, mask);
  }
}

inline void TurnHead(float* head, const float* cos_sin, size_t elements, F32x16 scale) {
  for (size_t i = 0; i < elements; i += 16) {
    const Mask mask = LanesFrom(i, elements);
    const F32x16 x = Load(head + i, mask);
    const F32x16 angle = Load(cos_sin + i, mask);
    const F32x16 crossed = Times(SwapPairs(x), NegateEven(TwiceOdd(angle)));
    Store(Times(Fma(x, TwiceEven(angle), crossed), scale), head + i, mask);
  }
}

void Rope(float* row, const float* cos_sin, size_t pairs, size_t head_dim, size_t heads,
          float scale) {
  for (size_t h = 0; h < heads; ++h, row += head_dim) {
    TurnHead(row, cos_sin, 2 * pairs, Broadcast(scale));
    for (size_t i = 2 * pairs; i < head_dim; ++i) row[i] *= scale;
  }
}

void ToHalf(const float* x, size_t n, uint16_t* into) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) StoreHalf(Load(x + i), into + i);
  if (i == n) return;
  uint16_t rest[16];
  StoreHalf(Load(x + i, LanesFrom(i, n)), rest);
  __builtin_memcpy(into + i, rest, (n - i) * sizeof(uint16_t));
}

void FromHalf(const uint16_t* x, size_t n, float* into) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) Store(LoadHalf(x + i), into + i);
  if (i == n) return;
  uint16_t rest[16] = {};
  __builtin_memcpy(rest, x + i, (n - i) * sizeof(uint16_t));
  Store(LoadHalf(rest), into + i, LanesFrom(i, n));
}

// ---- attention ----

// What the rows of a tile carry from one key block to the next.
struct AttentionState {
  float* scores;  // [row][kKeyBlock], then weights
  float* sums;    // [row][width]
  float* max;     // [row]
  float* total;   // [row]
};

// As KvWidth(), without a symbol to share.
inline size_t WidthOf(const AttentionTile& tile) {
  return (tile.head_dim + 15) / 16 * 16;
}

inline AttentionState StateOf(const AttentionTile& tile) {
  float* scores = tile.scratch;
  float* sums = scores + kAttentionRowsMax * kKeyBlock;
  float* max = sums + kAttentionRowsMax * WidthOf(tile);
  return {scores, sums, max, max + kAttentionRowsMax};
}

inline size_t RowsOf(const AttentionTile& tile) {
  return tile.tokens * tile.group;
}

inline size_t OffsetOf(const AttentionTile& tile, size_t row) {
  return row / tile.group * tile.stride + row % tile.group * tile.head_dim;
}

// Keys of the block beginning at `begin` up to the last that a row may see.
inline size_t VisibleTo(const AttentionTile& tile, size_t row, size_t begin) {
  const size_t end = tile.first + row / tile.group + 1;
  if (end <= begin) return 0;
  return end - begin < kKeyBlock ? end - begin : kKeyBlock;
}

// The first key that a row may see.
inline size_t FirstKeyOf(const AttentionTile& tile, size_t row) {
  if (tile.window == 0) return 0;
  const size_t end = tile.first + row / tile.group + 1;
  return end < tile.window ? 0 : end - tile.window;
}

// Keys of the block beginning at `begin` before the first that a row may see.
inline size_t HiddenFrom(const AttentionTile& tile, size_t row, size_t begin) {
  const size_t first = FirstKeyOf(tile, row);
  if (first <= begin) return 0;
  return first - begin < kKeyBlock ? first - begin : kKeyBlock;
}

inline F32x16 SoftCap(F32x16 score, float cap) {
  const F32x16 one = Broadcast(1.0f);
  const F32x16 power = Exp(Times(score, Broadcast(2.0f / cap)));
  return Times(Subtract(one, Divide(Broadcast(2.0f), Add(power, one))), Broadcast(cap));
}

void SoftCapAll(float* x, float cap, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const Mask mask = LanesFrom(i, n);
    Store(SoftCap(Load(x + i, mask), cap), x + i, mask);
  }
}

// Scores of kRows rows with kVectors x 16 keys.
template <size_t kRows>
inline void ScoreRows(const AttentionTile& tile, size_t row, const uint16_t* keys, float* scores) {
  const float* q[kRows];
  F32x16 sums[kRows][kVectors];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
    q[r] = tile.q + OffsetOf(tile, row + r);
    Clear<kVectors>(sums[r]);
  }
  const size_t stride = WidthOf(tile) * 16;
  for (size_t d = 0; d < tile.head_dim; ++d) {
    F32x16 k[kVectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) k[v] = LoadHalf(keys + v * stride + d * 16);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      const F32x16 x = Broadcast(q[r][d]);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) sums[r][v] = Fma(x, k[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) Store(sums[r][v], scores + r * kKeyBlock + v * 16);
  }
}

// sums = sums * shrink + weights x values, for kRows rows and kWide x 16 elements of head_dim.
template <size_t kRows, size_t kWide>
inline void AddValues(const uint16_t* values, size_t width, size_t first, size_t keys,
                      const float* weights, const float* shrink, float* into) {
  F32x16 sums[kRows][kWide];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) {
      sums[r][v] = Times(Load(into + r * width + v * 16), Broadcast(shrink[r]));
    }
  }
  for (size_t j = first; j < keys; ++j) {
    F32x16 value[kWide];
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) value[v] = LoadHalf(values + j * width + v * 16);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      const F32x16 weight = Broadcast(weights[r * kKeyBlock + j]);
#pragma GCC unroll 4
      for (size_t v = 0; v < kWide; ++v) sums[r][v] = Fma(weight, value[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) Store(sums[r][v], into + r * width + v * 16);
  }
}

// The first lanes of line i that are among `hidden` keys.
inline Mask HiddenLanes(size_t i, size_t hidden) {
  return FirstLanes(hidden > i ? hidden - i : 0);
}

// Scores become weights relative to the new maximum, zero where a key is not among [hidden,
// visible). Returns what earlier sums shrink by.
inline float Rescale(float* scores, size_t hidden, size_t visible, float* max, float* total) {
  if (hidden >= visible) {
    for (size_t i = 0; i < kKeyBlock; i += 16) Store(Zero(), scores + i);
    return 1.0f;
  }
  F32x16 largest = Broadcast(*max);
  for (size_t i = 0; i < visible; i += 16) {
    const Mask mask = LanesFrom(i, visible);
    const F32x16 seen = Select(mask, Max(Load(scores + i), largest), largest);
    largest = Select(HiddenLanes(i, hidden), largest, seen);
  }
  const float now = Largest(largest);
  F32x16 sums = Zero();
  for (size_t i = 0; i < kKeyBlock; i += 16) {
    const Mask mask = LanesFrom(i, i < visible ? visible : i);
    const F32x16 weight = Exp(Subtract(Load(scores + i), Broadcast(now)));
    const F32x16 visible_weight =
        Select(HiddenLanes(i, hidden), Zero(), Select(mask, weight, Zero()));
    Store(visible_weight, scores + i);
    sums = Add(sums, visible_weight);
  }
  alignas(64) float shrink[16];
  Store(Exp(Broadcast(*max - now)), shrink);
  *max = now;
  *total = __builtin_fmaf(*total, shrink[0], Sum(sums));
  return shrink[0];
}

template <size_t kRows>
inline void AttendBlockRows(const AttentionTile& tile, const AttentionState& state, size_t row,
                            size_t begin) {
  const size_t page = static_cast<size_t>(tile.pages[begin / kKeyBlock]) * tile.page_bytes;
  const auto* keys = reinterpret_cast<const uint16_t*>(tile.keys + page);
  const auto* values = reinterpret_cast<const uint16_t*>(tile.values + page);
  const size_t visible = VisibleTo(tile, row + kRows - 1, begin);
  const size_t hidden = HiddenFrom(tile, row, begin);
  if (hidden >= visible) return;
  const size_t width = WidthOf(tile);
  float* scores = state.scores + row * kKeyBlock;
  for (size_t at = 0; at < visible; at += kVectors * 16) {
    ScoreRows<kRows>(tile, row, keys + at * width, scores + at);
  }
  float shrink[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    float* of_row = scores + r * kKeyBlock;
    if (tile.softcap > 0) {
      for (size_t i = 0; i < visible; i += 16) {
        Store(SoftCap(Load(of_row + i), tile.softcap), of_row + i);
      }
    }
    shrink[r] = Rescale(of_row, HiddenFrom(tile, row + r, begin), VisibleTo(tile, row + r, begin),
                        state.max + row + r, state.total + row + r);
  }
  float* into = state.sums + row * width;
  size_t d = 0;
  for (; d + kVectors * 16 <= width; d += kVectors * 16) {
    AddValues<kRows, kVectors>(values + d, width, hidden, visible, scores, shrink, into + d);
  }
  for (; d < width; d += 16) {
    AddValues<kRows, 1>(values + d, width, hidden, visible, scores, shrink, into + d);
  }
}

// Rows [row, rows) in groups of kRows, the rest in smaller ones.
template <size_t kRows>
inline void AttendBlock(const AttentionTile& tile, const AttentionState& state, size_t row,
                        size_t begin) {
  const size_t rows = RowsOf(tile);
  for (; row + kRows <= rows; row += kRows) AttendBlockRows<kRows>(tile, state, row, begin);
  if constexpr (kRows > 1) {
    if (row < rows) AttendBlock<kRows - 1>(tile, state, row, begin);
  }
}

inline void BeginRows(const AttentionTile& tile, const AttentionState& state) {
  for (size_t r = 0; r < RowsOf(tile); ++r) {
    state.max[r] = -__builtin_inff();
    state.total[r] = 0;
  }
  for (size_t i = 0; i < RowsOf(tile) * WidthOf(tile); i += 16) Store(Zero(), state.sums + i);
}

// What the sums of a row shrink by, and their total with its sink, where there is one.
struct SinkShares {
  float sums;
  float total;
};

inline SinkShares SinkOf(const AttentionTile& tile, size_t row, float max, float total) {
  if (tile.sinks == nullptr) return {1.0f, total};
  const float sink = tile.sinks[row % tile.group];
  const float now = max < sink ? sink : max;
  alignas(64) float old_share[16], sink_share[16];
  Store(Exp(Broadcast(max - now)), old_share);
  Store(Exp(Broadcast(sink - now)), sink_share);
  return {old_share[0], __builtin_fmaf(total, old_share[0], sink_share[0])};
}

inline void FinishRows(const AttentionTile& tile, const AttentionState& state) {
  for (size_t r = 0; r < RowsOf(tile); ++r) {
    float* into = tile.into + OffsetOf(tile, r);
    const SinkShares shares = SinkOf(tile, r, state.max[r], state.total[r]);
    const F32x16 total = Broadcast(shares.total);
    for (size_t d = 0; d < tile.head_dim; d += 16) {
      const F32x16 sums = Load(state.sums + r * WidthOf(tile) + d);
      Store(Divide(Times(sums, Broadcast(shares.sums)), total), into + d,
            LanesFrom(d, tile.head_dim));
    }
  }
}

void Attend(const AttentionTile& tile) {
  const AttentionState state = StateOf(tile);
  BeginRows(tile, state);
  const size_t end = tile.first + tile.tokens;
  for (size_t begin = FirstKeyOf(tile, 0) / kKeyBlock * kKeyBlock; begin < end;
       begin += kKeyBlock) {
    AttendBlock<kAttentionRows>(tile, state, 0, begin);
  }
  FinishRows(tile, state);
}

#include "kernels/cpu/brain_attention.h"

// ---- peaks ----

constexpr size_t kPeakBrainSums = kWideRegisters ? 12 : 4;
constexpr size_t kPeakBrainOps = kPeakBrainSums * 64;

inline float PeakBrain(size_t iterations) {
  F32x16 sums[kPeakBrainSums];  // all different, or the compiler computes one
  for (size_t i = 0; i < kPeakBrainSums; ++i) sums[i] = Broadcast(static_cast<float>(i));
  const BrainPairs a = BroadcastPair(0x3f003f00u + static_cast<uint32_t>(iterations % 2));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (F32x16& sum : sums) sum = DotPairs(a, a, sum);
  }
  float total = 0;
  for (const F32x16& sum : sums) total += Sum(sum);
  return total;
}

// ---- the table ----

template <typename Block>
constexpr MatrixKernels BlockKernels() {
  return {OperandKind::kInt8, panel::PanelBytes<Block>, panel::Pack<Block>, panel::UnpackRow<Block>,
          MultiplyAll<BlockWeights<Block>, OperandKind::kInt8>};
}

constexpr KernelTable BodyTable(const char* name) {
  using panel::BytesBF16, panel::BytesF32, panel::UnpackBF16, panel::UnpackF32;
  constexpr OperandKind kFloat = OperandKind::kFloat;
  constexpr OperandKind kBrain = OperandKind::kBrain;
  constexpr auto kMultiplyBrain = MultiplyAll<BrainWeights, kBrain>;
  return {
      .name = name,
      .tile_tokens = kTileTokens,
      .f32 = {kFloat, BytesF32, panel::PackF32, UnpackF32, MultiplyAll<F32Weights, kFloat>},
      .f16 = {kBrain, BytesBF16, PackF16, UnpackBF16, kMultiplyBrain},
      .bf16 = {kBrain, BytesBF16, panel::PackBF16, UnpackBF16, kMultiplyBrain},
      .q8_0 = BlockKernels<BlockQ8_0>(),
      .q4_0 = BlockKernels<BlockQ4_0>(),
      .q4_k = BlockKernels<BlockQ4_K>(),
      .q6_k = BlockKernels<BlockQ6_K>(),
      .q4_1 = BlockKernels<BlockQ4_1>(),
      .q5_0 = BlockKernels<BlockQ5_0>(),
      .q5_1 = BlockKernels<BlockQ5_1>(),
      .q2_k = BlockKernels<BlockQ2_K>(),
      .q3_k = BlockKernels<BlockQ3_K>(),
      .q5_k = BlockKernels<BlockQ5_K>(),
      .iq4_nl = BlockKernels<BlockIQ4_NL>(),
      .iq4_xs = BlockKernels<BlockIQ4_XS>(),
      .mxfp4 = BlockKernels<BlockMXFP4>(),
      .prepare_int8 = PrepareInt8,
      .prepare_float = PrepareFloat,
      .prepare_brain = PrepareBrain,
      .rms_norm = RmsNorm,
      .silu_multiply = SiluMultiply,
      .gelu_multiply = GeluMultiply,
      .clamped_swiglu = ClampedSwiglu,
      .soft_cap = SoftCapAll,
      .add_scaled = AddScaled,
      .rope = Rope,
      .attend = Attend,
      .attend_brain = AttendBrain,
      .attend_segment = AttendSegment,
      .merge_segments = MergeSegments,
      .to_half = ToHalf,
      .from_half = FromHalf,
      .peaks = {kPeakInt8Ops, kPeakFusedOps, kPeakBrainOps, PeakInt8, PeakFused, PeakBrain,
                PeakRead},
  };
}
