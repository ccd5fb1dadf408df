// Attention whose products are of BF16 pairs, the order of which kernels/table.h fixes. Included by
// body.h alone. The pages hold F16 or Q8_0: each block of 64 keys is brought into the pairs that
// brain.h multiplies once for all rows of a tile, so that a prompt pays for it once in some hundred
// rows.
//
// On top of body.h's lanes it asks brain.h for
//   kPairBytes, FactorPair           sixteen lanes' pairs in memory, and one pair to broadcast
//   StorePairs, StoreFactors         rounding to both forms
//   kParts, LoadPart, BroadcastPart, AddProduct   a pair's product in kParts steps

// Rows of a tile, each with its own maximum and sums: what one segment of the keys came to.
struct SegmentState {
  float* sums;    // [row][value width]
  float* totals;  // [row][16]: lanes while keys are added, then one number in the first
  float* max;     // [row]
};

struct BrainState {
  SegmentState segments[2];
  FactorPair* queries;  // [row][pairs]
  FactorPair* weights;  // [kBrainRowGroupMax][32]
  float* scores;        // [kBrainRowGroupMax][kKeyBlock]
  uint8_t* keys;        // [4][pairs][kPairBytes]
  uint8_t* values;      // [32][value width / 16][kPairBytes]
  uint8_t* latents;     // as values lie in pages that have some
};
static_assert(kAttentionRows <= kBrainRowGroupMax && kPairBytes <= kBrainPairBytesMax);

inline size_t PairsOf(const AttentionTile& tile) {
  return (tile.head_dim + 1) / 2;
}

// As BrainAttentionScratchBytes() counts.
inline BrainState BrainStateOf(const AttentionTile& tile) {
  uint8_t* at = reinterpret_cast<uint8_t*>(tile.scratch);
  const auto take = [&](size_t bytes) {
    uint8_t* taken = at;
    at += panel::RoundUpToLine(bytes);
    return taken;
  };
  const auto floats = [&](size_t count) {
    return reinterpret_cast<float*>(take(count * sizeof(float)));
  };
  const auto factors = [&](size_t count) {
    return reinterpret_cast<FactorPair*>(take(count * sizeof(FactorPair)));
  };
  const size_t width = WidthOf(tile);
  const size_t value_width = ValueWidthOf(tile);
  const size_t rows = RowsOf(tile);
  BrainState state;
  state.latents = take(tile.latent == 0 ? 0 : kKeyBlock * value_width * sizeof(uint16_t));
  state.keys = take(kKeyBlock / 16 * (width / 2) * kPairBytes);
  state.values = take(kKeyBlock / 2 * (value_width / 16) * kPairBytes);
  state.weights = factors(kBrainRowGroupMax * kKeyBlock / 2);
  state.scores = floats(kBrainRowGroupMax * kKeyBlock);
  state.queries = factors(rows * (width / 2));
  for (SegmentState& segment : state.segments) {
    segment = {floats(rows * value_width), floats(rows * 16), floats(rows)};
  }
  return state;
}

// ---- operands ----

constexpr float kLog2E = 1.44269504f;

// Queries times log2(e), so that weights are powers of two.
inline void LoadQueries(const AttentionTile& tile, FactorPair* into) {
  const size_t stride = WidthOf(tile) / 2;
  for (size_t row = 0; row < RowsOf(tile); ++row) {
    const float* q = tile.q + OffsetOf(tile, row);
    for (size_t d = 0; d < tile.head_dim; d += 16) {
      const F32x16 x = Times(Load(q + d, LanesFrom(d, tile.head_dim)), Broadcast(kLog2E));
      StoreQueryFactors(x, into + row * stride + d / 2);
    }
  }
}

// What will be read next, asked for line by line while something else is brought into pairs: one
// token's keys and values are over before processors have guessed where they go on.
struct Ahead {
  const uint8_t* at;
  void Line() {
    PrefetchToL2(at);
    at += 64;
  }
};

// Lines of 16 keys that ScorePairs() reads where `visible` keys count.
inline size_t KeyLines(size_t visible) {
  return (visible + kVectors * 16 - 1) / (kVectors * 16) * kVectors;
}

inline void LoadHalfKeys(const AttentionTile& tile, const uint16_t* keys, size_t visible,
                         Ahead ahead, uint8_t* into) {
  const size_t width = WidthOf(tile);
  const size_t pairs = PairsOf(tile);
  for (size_t v = 0; v < KeyLines(visible); ++v) {
    const uint16_t* from = keys + v * width * 16;
    for (size_t i = 0; i < pairs; ++i, from += 32, into += kPairBytes) {
      ahead.Line();
      const bool whole = 2 * i + 1 < tile.head_dim;
      StorePairs(LoadHalf(from), whole ? LoadHalf(from + 16) : Zero(), into);
    }
  }
}

inline F32x16 LoadInt8(const int8_t* from) {
  return LoadS8(reinterpret_cast<const uint8_t*>(from));
}

inline void LoadQ8Keys(const AttentionTile& tile, const KeyBlockQ8_0* keys, size_t visible,
                       Ahead ahead, uint8_t* into) {
  const size_t blocks = tile.head_dim / 32;
  for (size_t b = 0; b < KeyLines(visible) * blocks; ++b, ++keys) {
    const F32x16 scale = LoadHalf(keys->d);
    for (size_t i = 0; i < 32; i += 2, into += kPairBytes) {
      if (i % 4 == 0) ahead.Line();
      StorePairs(Times(LoadInt8(keys->q[i]), scale), Times(LoadInt8(keys->q[i + 1]), scale), into);
    }
  }
}

inline void LoadKeyPairs(const AttentionTile& tile, const uint8_t* keys, size_t visible,
                         Ahead ahead, uint8_t* into) {
  if (tile.kv_type == KvType::kF16) {
    LoadHalfKeys(tile, HalvesAt(keys), visible, ahead, into);
  } else {
    LoadQ8Keys(tile, reinterpret_cast<const KeyBlockQ8_0*>(keys), visible, ahead, into);
  }
}

// Keys of a block: [hidden, visible) of them are in sight of some row.
struct Sight {
  size_t hidden;
  size_t visible;
  bool Has(size_t key) const { return key >= hidden && key < visible; }
};

// From the pair with the first key in sight on.
inline void LoadHalfValues(const AttentionTile& tile, const uint16_t* values, const Sight& sight,
                           Ahead ahead, uint8_t* into) {
  const size_t width = ValueWidthOf(tile);
  const size_t skipped = sight.hidden / 2;
  values += skipped * 2 * width;
  into += skipped * (width / 16) * kPairBytes;
  for (size_t j = 2 * skipped; j < sight.visible; j += 2, values += 2 * width) {
    for (size_t d = 0; d < width; d += 16, into += kPairBytes) {
      ahead.Line();
      const F32x16 first = sight.Has(j) ? LoadHalf(values + d) : Zero();
      const F32x16 second = sight.Has(j + 1) ? LoadHalf(values + width + d) : Zero();
      StorePairs(first, second, into);
    }
  }
}

inline F32x16 LoadQ8(const BlockQ8_0& block, size_t first) {
  return Times(LoadInt8(block.q + first), BroadcastHalf(block.d));
}

inline void LoadQ8Values(const AttentionTile& tile, const BlockQ8_0* values, const Sight& sight,
                         Ahead ahead, uint8_t* into) {
  const size_t blocks = ValueDimOf(tile) / 32;
  const size_t skipped = sight.hidden / 2;
  values += skipped * 2 * blocks;
  into += skipped * blocks * 2 * kPairBytes;
  for (size_t j = 2 * skipped; j < sight.visible; j += 2, values += 2 * blocks) {
    for (size_t b = 0; b < blocks; ++b) {
      ahead.Line();
      for (size_t i = 0; i < 32; i += 16, into += kPairBytes) {
        const F32x16 first = sight.Has(j) ? LoadQ8(values[b], i) : Zero();
        const F32x16 second = sight.Has(j + 1) ? LoadQ8(values[blocks + b], i) : Zero();
        StorePairs(first, second, into);
      }
    }
  }
}

inline void LoadValuePairs(const AttentionTile& tile, const uint8_t* values, const Sight& sight,
                           Ahead ahead, uint8_t* into) {
  if (tile.kv_type == KvType::kF16) {
    LoadHalfValues(tile, HalvesAt(values), sight, ahead, into);
  } else {
    LoadQ8Values(tile, reinterpret_cast<const BlockQ8_0*>(values), sight, ahead, into);
  }
}

// The values of a page as LoadValuePairs() reads them; of latents they are made at `latents`.
inline const uint8_t* ValuesOf(const AttentionTile& tile, size_t page, uint8_t* latents) {
  if (tile.latent == 0) return tile.values + page;
  const uint8_t* keys = tile.keys + page;
  if (tile.kv_type == KvType::kF16) {
    ToRows(HalvesAt(keys), WidthOf(tile), ValueWidthOf(tile), reinterpret_cast<uint16_t*>(latents));
  } else {
    BlocksToRows(reinterpret_cast<const KeyBlockQ8_0*>(keys), tile.head_dim / 32, tile.latent / 32,
                 reinterpret_cast<BlockQ8_0*>(latents));
  }
  return latents;
}

// ---- one block of keys ----

// Scores of kRows rows with kVectors x 16 keys.
template <size_t kRows>
inline void ScorePairs(const FactorPair* q, size_t q_stride, const uint8_t* keys, size_t pairs,
                       float* scores) {
  F32x16 sums[kRows][kVectors];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) Clear<kVectors>(sums[r]);
  for (size_t i = 0; i < pairs; ++i) {
#pragma GCC unroll 2
    for (size_t part = 0; part < kParts; ++part) {
      PairPart k[kVectors];
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) {
        k[v] = LoadPart(keys + (v * pairs + i) * kPairBytes, part);
      }
#pragma GCC unroll 16
      for (size_t r = 0; r < kRows; ++r) {
        const PairPart x = BroadcastPart(q[r * q_stride + i], part);
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectors; ++v) sums[r][v] = AddProduct(k[v], x, sums[r][v]);
      }
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
inline void AddValuePairs(const FactorPair* weights, const uint8_t* values, size_t row_bytes,
                          size_t pairs, const float* shrink, float* into, size_t width) {
  F32x16 sums[kRows][kWide];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) {
      sums[r][v] = Times(Load(into + r * width + v * 16), Broadcast(shrink[r]));
    }
  }
  for (size_t j = 0; j < pairs; ++j, values += row_bytes) {
#pragma GCC unroll 2
    for (size_t part = 0; part < kParts; ++part) {
      PairPart value[kWide];
#pragma GCC unroll 4
      for (size_t v = 0; v < kWide; ++v) value[v] = LoadPart(values + v * kPairBytes, part);
#pragma GCC unroll 16
      for (size_t r = 0; r < kRows; ++r) {
        const PairPart x = BroadcastPart(weights[r * kKeyBlock / 2 + j], part);
#pragma GCC unroll 4
        for (size_t v = 0; v < kWide; ++v) sums[r][v] = AddProduct(value[v], x, sums[r][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kWide; ++v) Store(sums[r][v], into + r * width + v * 16);
  }
}

// As kernels/reference: 2^t for t <= 0, zero below 2^-50, NaN stays NaN.
inline F32x16 PowerOfTwoUpTo1(F32x16 t) {
  const F32x16 n = Round(t);
  const F32x16 r = Subtract(t, n);
  F32x16 p = Broadcast(0.00958285294f);
  p = Fma(p, r, Broadcast(0.0559064262f));
  p = Fma(p, r, Broadcast(0.240240991f));
  p = Fma(p, r, Broadcast(0.693124175f));
  p = Fma(p, r, Broadcast(1.0f));
  return Select(Less(t, Broadcast(-50.0f)), Zero(), TimesPowerOfTwo(p, n));
}

inline float PowerOfTwoUpTo1(float t) {
  alignas(64) float lanes[16];
  Store(PowerOfTwoUpTo1(Broadcast(t)), lanes);
  return lanes[0];
}

// Scores as they count: bent by `softcap`, which is one of scores times log2(e), and -infinity
// where a key is not in sight.
inline void HideScores(const Sight& sight, float softcap, float* scores) {
  const F32x16 out_of_sight = Broadcast(-__builtin_inff());
  for (size_t i = 0; i < kKeyBlock; i += 16) {
    F32x16 line = Load(scores + i);
    if (softcap > 0) line = SoftCap(line, softcap);
    line = Select(FirstLanes(sight.visible < i ? 0 : sight.visible - i), line, out_of_sight);
    Store(Select(HiddenLanes(i, sight.hidden), out_of_sight, line), scores + i);
  }
}

inline float LargestOf(const float* scores, float so_far) {
  F32x16 largest = Broadcast(so_far);
#pragma GCC unroll 4
  for (size_t i = 0; i < kKeyBlock; i += 16) largest = Max(Load(scores + i), largest);
  return Largest(largest);
}

// Scores become weights relative to `top`, and their sums join `totals`, which shrink before.
inline void WeighRow(const float* scores, float top, float shrink, float* totals,
                     FactorPair* weights) {
  F32x16 sums = Times(Load(totals), Broadcast(shrink));
#pragma GCC unroll 4
  for (size_t i = 0; i < kKeyBlock; i += 16) {
    const F32x16 weight = PowerOfTwoUpTo1(Subtract(Load(scores + i), Broadcast(top)));
    sums = Add(sums, StoreFactors(weight, weights + i / 2));
  }
  Store(sums, totals);
}

// The scores of some rows become weights relative to each row's new maximum, zero where a key is
// not in sight. `shrink`: what earlier sums shrink by. One row after the other in each step, so
// that none waits for another's maximum.
template <size_t kRows>
inline void WeighRows(const AttentionTile& tile, const BrainState& state,
                      const SegmentState& segment, size_t row, size_t begin, float* shrink) {
  const bool whole = tile.softcap == 0 && VisibleTo(tile, row, begin) == kKeyBlock &&
                     HiddenFrom(tile, row + kRows - 1, begin) == 0;
  alignas(64) float tops[16];
  alignas(64) float shrinks[16];
  float* max = segment.max + row;
  const F32x16 before = Load(max, FirstLanes(kRows));
  bool sees[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    float* scores = state.scores + r * kKeyBlock;
    const Sight sight = {HiddenFrom(tile, row + r, begin), VisibleTo(tile, row + r, begin)};
    sees[r] = sight.hidden < sight.visible;
    if (!whole) HideScores(sight, tile.softcap * kLog2E, scores);
    tops[r] = LargestOf(scores, max[r]);
  }
  const F32x16 now = Load(tops, FirstLanes(kRows));
  Store(now, max, FirstLanes(kRows));
  Store(Select(Less(before, now), PowerOfTwoUpTo1(Subtract(before, now)), Broadcast(1.0f)),
        shrinks);
  for (size_t r = 0; r < kRows; ++r) {
    shrink[r] = shrinks[r];
    WeighRow(state.scores + r * kKeyBlock, sees[r] ? tops[r] : 0.0f, shrink[r],
             segment.totals + (row + r) * 16, state.weights + r * kKeyBlock / 2);
  }
}

template <size_t kRows>
inline void AddBlockRows(const AttentionTile& tile, const BrainState& state,
                         const SegmentState& segment, size_t row, size_t begin) {
  const size_t visible = VisibleTo(tile, row + kRows - 1, begin);
  const size_t hidden = HiddenFrom(tile, row, begin);
  if (hidden >= visible) return;
  const size_t width = WidthOf(tile);
  const size_t pairs = PairsOf(tile);
  for (size_t at = 0; at < visible; at += kVectors * 16) {
    ScorePairs<kRows>(state.queries + row * (width / 2), width / 2,
                      state.keys + at / 16 * pairs * kPairBytes, pairs, state.scores + at);
  }
  float shrink[kRows];
  WeighRows<kRows>(tile, state, segment, row, begin, shrink);
  const size_t value_width = ValueWidthOf(tile);
  float* into = segment.sums + row * value_width;
  const size_t row_bytes = value_width / 16 * kPairBytes;
  const size_t first_pair = hidden / 2;
  const size_t value_pairs = (visible + 1) / 2 - first_pair;
  const FactorPair* pair_weights = state.weights + first_pair;
  const uint8_t* pair_values = state.values + first_pair * row_bytes;
  size_t d = 0;
  for (; d + kVectors * 16 <= value_width; d += kVectors * 16) {
    AddValuePairs<kRows, kVectors>(pair_weights, pair_values + d / 16 * kPairBytes, row_bytes,
                                   value_pairs, shrink, into + d, value_width);
  }
  for (; d < value_width; d += 16) {
    AddValuePairs<kRows, 1>(pair_weights, pair_values + d / 16 * kPairBytes, row_bytes, value_pairs,
                            shrink, into + d, value_width);
  }
}

// Rows [row, rows) in groups of kRows, the rest in smaller ones.
template <size_t kRows>
inline void AddBlock(const AttentionTile& tile, const BrainState& state,
                     const SegmentState& segment, size_t row, size_t begin) {
  const size_t rows = RowsOf(tile);
  for (; row + kRows <= rows; row += kRows) {
    AddBlockRows<kRows>(tile, state, segment, row, begin);
  }
  if constexpr (kRows > 1) {
    if (row < rows) AddBlock<kRows - 1>(tile, state, segment, row, begin);
  }
}

// ---- segments ----

// The keys of block `next`; from `end` on, where no block of these keys is left, those of the next
// KV head, which lie behind these in the page.
inline Ahead KeysAhead(const AttentionTile& tile, size_t page, size_t next, size_t end) {
  if (next < end)
    return {tile.keys + static_cast<size_t>(tile.pages[next / kKeyBlock]) * tile.page_bytes};
  const size_t bytes = tile.kv_type == KvType::kF16
                           ? kKeyBlock * WidthOf(tile) * sizeof(uint16_t)
                           : kKeyBlock * (tile.head_dim / 32) * sizeof(BlockQ8_0);
  return {tile.keys + page + bytes};
}

inline void AttendToSegment(const AttentionTile& tile, const BrainState& state,
                            const SegmentState& segment, size_t first_key) {
  const size_t rows = RowsOf(tile);
  const size_t width = ValueWidthOf(tile);
  for (size_t r = 0; r < rows; ++r) {
    segment.max[r] = -__builtin_inff();
    Store(Zero(), segment.totals + r * 16);
  }
  for (size_t i = 0; i < rows * width; i += 16) Store(Zero(), segment.sums + i);
  const size_t end = tile.first + tile.tokens;
  const size_t last = end < first_key + kSegmentKeys ? end : first_key + kSegmentKeys;
  const size_t first_seen = FirstKeyOf(tile, 0) / kKeyBlock * kKeyBlock;
  for (size_t begin = first_key < first_seen ? first_seen : first_key; begin < last;
       begin += kKeyBlock) {
    const size_t page = static_cast<size_t>(tile.pages[begin / kKeyBlock]) * tile.page_bytes;
    const Sight sight = {HiddenFrom(tile, 0, begin), VisibleTo(tile, rows - 1, begin)};
    const Ahead keys = KeysAhead(tile, page, begin + kKeyBlock, last);
    LoadKeyPairs(tile, tile.keys + page, sight.visible,
                 tile.latent == 0 ? Ahead{tile.values + page} : keys, state.keys);
    LoadValuePairs(tile, ValuesOf(tile, page, state.latents), sight, keys, state.values);
    AddBlock<kAttentionRows>(tile, state, segment, 0, begin);
  }
  for (size_t r = 0; r < rows; ++r) {
    segment.totals[r * 16] = Sum(Load(segment.totals + r * 16));
  }
}

// What one row has come to so far, and what a later segment adds.
struct RowState {
  float* sums;
  float* max;
  float* total;
};

inline void MergeRow(const RowState& into, const RowState& more, size_t width) {
  const float now = *into.max < *more.max ? *more.max : *into.max;
  const float old_share = PowerOfTwoUpTo1(*into.max - now);
  const float new_share = PowerOfTwoUpTo1(*more.max - now);
  *into.max = now;
  *into.total = __builtin_fmaf(*more.total, new_share, *into.total * old_share);
  for (size_t d = 0; d < width; d += 16) {
    const F32x16 old = Times(Load(into.sums + d), Broadcast(old_share));
    Store(Fma(Load(more.sums + d), Broadcast(new_share), old), into.sums + d);
  }
}

// A sink is merged like a segment that has no values.
inline void MergeSink(const AttentionTile& tile, const RowState& state, size_t row) {
  const float sink = tile.sinks[row % tile.group] * kLog2E;
  const float now = *state.max < sink ? sink : *state.max;
  const float old_share = PowerOfTwoUpTo1(*state.max - now);
  *state.total = *state.total * old_share + PowerOfTwoUpTo1(sink - now);
  for (size_t d = 0; d < ValueWidthOf(tile); d += 16) {
    Store(Times(Load(state.sums + d), Broadcast(old_share)), state.sums + d);
  }
}

inline void FinishRow(const AttentionTile& tile, const RowState& state, size_t row) {
  if (tile.sinks != nullptr) MergeSink(tile, state, row);
  float* into = ResultOf(tile, row);
  const size_t dim = ValueDimOf(tile);
  const F32x16 total = Broadcast(*state.total);
  for (size_t d = 0; d < dim; d += 16) {
    Store(Divide(Load(state.sums + d), total), into + d, LanesFrom(d, dim));
  }
}

inline void CopyRow(const RowState& into, const RowState& from, size_t width) {
  *into.max = *from.max;
  *into.total = *from.total;
  for (size_t d = 0; d < width; d += 16) Store(Load(from.sums + d), into.sums + d);
}

inline RowState RowOf(const SegmentState& segment, size_t row, size_t width) {
  return {segment.sums + row * width, segment.max + row, segment.totals + row * 16};
}

// Segments of which a row sees something: [first, end).
inline size_t FirstSegmentOf(const AttentionTile& tile, size_t row) {
  return FirstKeyOf(tile, row) / kSegmentKeys;
}
inline size_t SegmentsEnd(const AttentionTile& tile, size_t row) {
  return (tile.first + row / tile.group) / kSegmentKeys + 1;
}

void AttendBrain(const AttentionTile& tile) {
  const BrainState state = BrainStateOf(tile);
  const size_t rows = RowsOf(tile);
  const size_t width = ValueWidthOf(tile);
  LoadQueries(tile, state.queries);
  const SegmentState& all = state.segments[0];
  const size_t first = FirstSegmentOf(tile, 0);
  AttendToSegment(tile, state, all, first * kSegmentKeys);
  const SegmentState& more = state.segments[1];
  for (size_t s = first + 1; s < SegmentsEnd(tile, rows - 1); ++s) {
    AttendToSegment(tile, state, more, s * kSegmentKeys);
    for (size_t r = 0; r < rows; ++r) {
      if (s < FirstSegmentOf(tile, r) || s >= SegmentsEnd(tile, r)) continue;
      const RowState row = RowOf(all, r, width);
      const RowState added = RowOf(more, r, width);
      if (s == FirstSegmentOf(tile, r)) {
        CopyRow(row, added, width);
      } else {
        MergeRow(row, added, width);
      }
    }
  }
  for (size_t r = 0; r < rows; ++r) FinishRow(tile, RowOf(all, r, width), r);
}

// In `partial`, per row: [width] sums, maximum, total.
void AttendSegment(const AttentionTile& tile, size_t segment, float* partial) {
  const BrainState state = BrainStateOf(tile);
  const size_t width = ValueWidthOf(tile);
  LoadQueries(tile, state.queries);
  AttendToSegment(tile, state, state.segments[0], segment * kSegmentKeys);
  for (size_t r = 0; r < RowsOf(tile); ++r, partial += width + 2) {
    const RowState row = RowOf(state.segments[0], r, width);
    for (size_t d = 0; d < width; d += 16) Store(Load(row.sums + d), partial + d);
    partial[width] = *row.max;
    partial[width + 1] = *row.total;
  }
}

void MergeSegments(const AttentionTile& tile, float* partials, size_t partial_stride) {
  const size_t width = ValueWidthOf(tile);
  for (size_t r = 0; r < RowsOf(tile); ++r) {
    const size_t first = FirstSegmentOf(tile, r);
    float* row = partials + first * partial_stride + r * (width + 2);
    const RowState all{row, row + width, row + width + 1};
    for (size_t s = first + 1; s < SegmentsEnd(tile, r); ++s) {
      float* more = row + (s - first) * partial_stride;
      MergeRow(all, {more, more + width, more + width + 1}, width);
    }
    FinishRow(tile, all, r);
  }
}
