// Matrix products of every weight type: what they share, floats, and the loops over tokens and
// panels. Included by body.h alone.

// So many columns of a tile of operands stay close while panels pass by; or, where these take work
// before they can be multiplied, of one or two panels, prepared, while some tiles pass by. Sums
// wait in memory between columns. Floats want their operands in L1; integers, of which a block has
// more to do with each of them, are as fast from L2, and then begin and end less often.
constexpr size_t kColumnsInL1 = 512;
constexpr size_t kColumnsInL2 = 2048;
constexpr size_t kPanelsAtOnce = 16;
static_assert(kTokensPerPass % kTileTokens == 0);
// No more than these wait for weights, which are best read in their order.
constexpr size_t kTokensOfStream = 3;

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
// behind the last, a prefetch does nothing. Into L2, which can wait for more lines than L1: enough
// to keep memory busy.
template <size_t kBytes>
inline void PrefetchWeights(const void* weights, size_t ahead) {
#pragma GCC unroll 8
  for (size_t i = 0; i < kBytes; i += 64)
    PrefetchToL2(static_cast<const uint8_t*>(weights) + ahead + i);
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

// A single token waits for each addition, so panels go side by side; many share each broadcast
// among two panels if there are registers.
struct FloatWeights {
  static constexpr size_t kTokensAtOnce = kTileTokens;
  static constexpr size_t kTokensMax = kTileTokens;
  static constexpr size_t kTokensByPanel = 0;
  static constexpr size_t kTokensInOrder = kTokensOfStream;
  static constexpr size_t kColumnsAtOnce = kColumnsInL1;
  static constexpr size_t kPanelsOfOne = kFloatPanelsOfOne;
  static constexpr size_t kPanelsOfFew = 2;
  static constexpr size_t kPanelsOfMany = kWideRegisters ? 2 : 1;
  static constexpr bool kPrepares = false;
  static constexpr size_t kTokensPerPass = kTileTokens;
  static constexpr size_t kTokensOfSums = 0;
};

struct F32Weights : FloatWeights {
  static constexpr OperandKind kOperand = OperandKind::kFloat;

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
        if constexpr (kTokens < kTileTokens) PrefetchWeights<1>(w + p * stride, kFloatsAhead);
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
struct BrainWeights : FloatWeights {
  static constexpr OperandKind kOperand = OperandKind::kBrain;

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
        if constexpr (kTokens < kTileTokens) PrefetchWeights<1>(w + p * stride, kFloatsAhead);
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

#include "kernels/cpu/block_weights.h"

// ---- all tokens against all rows ----

// As OperandBytes(), without a symbol to share.
template <OperandKind kOperand>
inline size_t BytesOfOperand(size_t columns) {
  if constexpr (kOperand == OperandKind::kFloat) return columns * sizeof(float);
  if constexpr (kOperand == OperandKind::kBrain) return (columns + 1) / 2 * sizeof(uint32_t);
  return columns / 32 * sizeof(OperandBlock);
}

// Some tokens against some panels.
struct TileWork {
  const MatrixProduct& product;
  size_t first_token;
  size_t tokens;
  size_t first_panel;
  float* sums;  // [kPanelsAtOnce][tokens][kPanelRows], between columns

  float* SumsOf(size_t panel, size_t token) const {
    return sums + ((panel - first_panel) * tokens + token) * kPanelRows;
  }
};

// Some of these that lie in one tile of operands.
struct Tile {
  const uint8_t* operands;
  size_t begin;  // counted from the work's first token
  size_t tokens;
};

// kTokens tokens against kSideBySide panels, whose weights are at `weights`.
template <typename Weights, size_t kTokens, size_t kSideBySide>
inline void MultiplyTile(const TileWork& work, const Tile& tile, size_t first,
                         const uint8_t* weights, size_t panel, const Columns& columns) {
  const size_t token = tile.begin + first;
  F32x16 sums[kSideBySide][kTokens];
#pragma GCC unroll 4
  for (size_t p = 0; p < kSideBySide; ++p) {
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) {
      sums[p][t] = columns.begin == 0 ? Zero() : Load(work.SumsOf(panel + p, token + t));
    }
  }
  Weights::template Accumulate<kTokens, kSideBySide>(weights, columns,
                                                     {tile.operands, tile.tokens, first}, sums);
#pragma GCC unroll 4
  for (size_t p = 0; p < kSideBySide; ++p) {
    if (columns.end == columns.all) {
      StoreTile<kTokens>(TargetOf(work.product, work.first_token + token, (panel + p) * kPanelRows),
                         sums[p]);
      continue;
    }
#pragma GCC unroll 16
    for (size_t t = 0; t < kTokens; ++t) Store(sums[p][t], work.SumsOf(panel + p, token + t));
  }
}

// The tile's tokens from `first` on, kTokens at a time and the rest at once.
template <typename Weights, size_t kTokens, size_t kSideBySide>
inline void MultiplyTokens(const TileWork& work, const Tile& tile, size_t first,
                           const uint8_t* weights, size_t panel, const Columns& columns) {
  for (; first + kTokens <= tile.tokens; first += kTokens)
    MultiplyTile<Weights, kTokens, kSideBySide>(work, tile, first, weights, panel, columns);
  if constexpr (kTokens > 1) {
    if (first < tile.tokens)
      MultiplyTokens<Weights, kTokens - 1, kSideBySide>(work, tile, first, weights, panel, columns);
  }
}

// Compiled by itself: what compilers make of these loops must not depend on what else there is in
// the file.
template <typename Weights, size_t kTokens, size_t kSideBySide>
[[gnu::noinline]] void MultiplyTiles(const TileWork& work, const uint8_t* weights, size_t panel,
                                     const Columns& columns) {
  const size_t token_bytes = BytesOfOperand<Weights::kOperand>(columns.all);
  for (size_t begin = 0; begin < work.tokens; begin += kTileTokens) {
    const size_t rest = work.tokens - begin;
    const Tile tile{work.product.operands + (work.first_token + begin) * token_bytes, begin,
                    rest < kTileTokens ? rest : kTileTokens};
    if constexpr (kTokens == Weights::kTokensAtOnce && kTokens < Weights::kTokensMax) {
      if (tile.tokens > kTokens && tile.tokens <= Weights::kTokensMax) {
        MultiplyTokens<Weights, Weights::kTokensMax, kSideBySide>(work, tile, 0, weights, panel,
                                                                  columns);
        continue;
      }
    }
    MultiplyTokens<Weights, kTokens, kSideBySide>(work, tile, 0, weights, panel, columns);
  }
}

// Panels [work.first_panel, end), kSideBySide at a time, each against kTokens tokens at a time.
template <typename Weights, size_t kTokens, size_t kSideBySide>
inline void MultiplyColumns(const TileWork& work, size_t end, const Columns& columns) {
  const uint8_t* panels = work.product.panels;
  const size_t panel_bytes = Weights::PanelBytes(columns.all);
  size_t panel = work.first_panel;
  for (; panel + kSideBySide <= end; panel += kSideBySide)
    MultiplyTiles<Weights, kTokens, kSideBySide>(work, panels + panel * panel_bytes, panel,
                                                 columns);
  if constexpr (kSideBySide > 1) {
    for (; panel < end; ++panel)
      MultiplyTiles<Weights, kTokens, 1>(work, panels + panel * panel_bytes, panel, columns);
  }
}

// kSideBySide panels that are prepared first.
template <typename Weights, size_t kSideBySide>
inline void MultiplyPrepared(const TileWork& work, size_t panel, const Columns& columns) {
  using Prepared = typename Weights::Prepared;
  alignas(64) uint8_t prepared[Weights::kPreparedBytes];
  Weights::template Prepare<kSideBySide>(
      work.product.panels + panel * Weights::PanelBytes(columns.all), columns, prepared);
  MultiplyTiles<Prepared, Prepared::kTokensAtOnce, kSideBySide>(work, prepared, panel, columns);
}

template <typename Weights>
inline void MultiplyGroup(const TileWork& work, size_t end, const Columns& columns) {
  if (work.tokens == 1)
    return MultiplyColumns<Weights, 1, Weights::kPanelsOfOne>(work, end, columns);
  if (work.tokens <= kTokensOfStream)
    return MultiplyColumns<Weights, kTokensOfStream, Weights::kPanelsOfFew>(work, end, columns);
  if (work.tokens <= Weights::kTokensByPanel)
    return MultiplyColumns<Weights, Weights::kTokensAtOnce, 1>(work, end, columns);
  if constexpr (Weights::kPrepares) {
    if (work.tokens > Weights::kTokensUnprepared) {
      constexpr size_t kPanels = Weights::kPanelsPrepared;
      size_t panel = work.first_panel;
      for (; panel + kPanels <= end; panel += kPanels)
        MultiplyPrepared<Weights, kPanels>(work, panel, columns);
      if constexpr (kPanels > 1) {
        for (; panel < end; ++panel) MultiplyPrepared<Weights, 1>(work, panel, columns);
      }
      return;
    }
  }
  if constexpr (Weights::kTokensOfSums > 0) {
    using Summed = typename Weights::Summed;
    if (work.tokens >= Weights::kTokensOfSums)
      return MultiplyColumns<Summed, Summed::kTokensAtOnce, Summed::kPanelsOfMany>(work, end,
                                                                                   columns);
  }
  MultiplyColumns<Weights, Weights::kTokensAtOnce, Weights::kPanelsOfMany>(work, end, columns);
}

template <typename Weights>
void MultiplyAll(const MatrixProduct& product) {
  constexpr size_t kTokens = Weights::kTokensPerPass;
  alignas(64) float sums[kPanelsAtOnce * kTokens * kPanelRows];
  const size_t panels = (product.rows + kPanelRows - 1) / kPanelRows;
  for (size_t token = 0; token < product.tokens; token += kTokens) {
    const size_t rest = product.tokens - token;
    const size_t tokens = rest < kTokens ? rest : kTokens;
    const size_t at_once =
        tokens <= Weights::kTokensInOrder ? product.columns : Weights::kColumnsAtOnce;
    for (size_t panel = 0; panel < panels; panel += kPanelsAtOnce) {
      const TileWork work{product, token, tokens, panel, sums};
      const size_t end = panel + kPanelsAtOnce < panels ? panel + kPanelsAtOnce : panels;
      for (size_t k = 0; k < product.columns; k += at_once) {
        MultiplyGroup<Weights>(
            work, end,
            {k, k + at_once < product.columns ? k + at_once : product.columns, product.columns});
      }
    }
  }
}
