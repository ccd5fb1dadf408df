#include "kernels/reference/table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "kernels/half.h"
#include "kernels/reference/blocks.h"

namespace baton::kernels {
namespace {

constexpr size_t kLanes = 16;

// ---- matrix products: a panel is 16 rows as the file has them ----

template <DType kType>
size_t RowBytes(size_t columns) {
  return BytesOf(kType, columns);
}

template <DType kType>
size_t PanelBytes(size_t columns) {
  return kPanelRows * RowBytes<kType>(columns);
}

template <DType kType>
void Pack(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  const size_t used = count * RowBytes<kType>(columns);
  std::memcpy(panel, rows, used);
  std::memset(panel + used, 0, PanelBytes<kType>(columns) - used);
}

template <typename T>
T Load(const uint8_t* bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

float Element(DType type, const uint8_t* row, size_t k) {
  if (type == DType::kF32) return Load<float>(row, k);
  const uint16_t bits = Load<uint16_t>(row, k);
  return FromBrain(type == DType::kF16 ? ToBrainFactor(FromHalf(bits)) : BrainFactor(bits));
}

float FloatDot(const uint8_t* row, const uint8_t* operand, size_t columns) {
  float sum = 0;
  for (size_t k = 0; k < columns; ++k)
    sum = std::fma(Load<float>(row, k), Load<float>(operand, k), sum);
  return sum;
}

template <DType kType>
float BrainDot(const uint8_t* row, const uint8_t* operand, size_t columns) {
  const auto product = [&](size_t k, float sum) {
    if (k >= columns) return sum;
    return std::fma(Element(kType, row, k), FromBrain(Load<uint16_t>(operand, k)), sum);
  };
  float sum = 0;
  for (size_t k = 0; k < columns; k += 2) sum = product(k, product(k + 1, sum));
  return sum;
}

// Weights [from, to) of block b of 32 columns, whose own block is w.
template <typename Block>
int32_t DotOf(const Block& w, size_t b, const OperandBlock& x, size_t from, size_t to) {
  const size_t at = b * 32 % Block::kElements;
  int32_t dot = 0;
  for (size_t i = from; i < to; ++i) dot += x.q[i] * IntegerOf<Block>(QuantOf(w, at + i));
  return dot;
}

// Weights that meet activations with a scale for each 32.
template <typename Block>
float Dot(const uint8_t* row, const uint8_t* operand, size_t columns) {
  float sum = 0;
  for (size_t b = 0; b < columns / 32; ++b) {
    const auto w = Load<Block>(row, b);
    const auto x = Load<OperandBlock>(operand, b);
    const Scaling scaling = ScalingOf(w, 0);
    const auto dot = static_cast<float>(DotOf(w, b, x, 0, 32));
    sum = std::fma(dot, scaling.scale * x.scale, sum);
    if (Block::kMinimum) sum = std::fma(scaling.minimum, x.sum, sum);
  }
  return sum;
}

// Block b of 32 columns, which w holds, before x.scale.
template <typename Block>
float AddBlock(const Block& w, size_t b, const OperandBlock& x, float part) {
  constexpr size_t kSubs = 32 / Block::kSubBlock;
  const size_t first = b * kSubs % (Block::kElements / Block::kSubBlock);
  for (size_t s = 0; s < kSubs; ++s) {
    const size_t begin = s * Block::kSubBlock;
    const auto dot = static_cast<float>(DotOf(w, b, x, begin, begin + Block::kSubBlock));
    part = std::fma(dot, ScalingOf(w, first + s).scale, part);
  }
  if constexpr (Block::kMinimum) {
    static_assert(kSubs == 1);
    part = std::fma(ScalingOf(w, first).minimum, x.sum, part);
  }
  return part;
}

// Blocks [begin, end) of 32 columns before the scale that their activations share.
template <typename Block>
float PartOf(const uint8_t* row, const uint8_t* operand, size_t begin, size_t end) {
  float part = 0;
  for (size_t b = begin; b < end; ++b) {
    const auto w = Load<Block>(row, b * 32 / Block::kElements);
    part = AddBlock(w, b, Load<OperandBlock>(operand, b), part);
  }
  return part;
}

// The same of a block of 256 columns whose scales are small: two sub-blocks to each 32.
template <typename Block>
requires kScalesAreSmall<Block>
float PartOf(const uint8_t* row, const uint8_t* operand, size_t begin, size_t) {
  static_assert(Block::kElements == 256 && Block::kSubBlock == 16);
  const auto w = Load<Block>(row, begin / 8);
  int32_t products = 0;
  int32_t minima = 0;
  for (size_t s = 0; s < 16; ++s) {
    const auto x = Load<OperandBlock>(operand, begin + s / 2);
    const size_t half = s % 2;
    products += ScaleOf(w, s) * DotOf(w, s / 2, x, half * 16, half * 16 + 16);
    if constexpr (Block::kMinimum) minima += MinOf(w, s) * (x.offset32[half] / -32);
  }
  const float part = static_cast<float>(products) * FromHalf(w.d);
  if constexpr (Block::kMinimum)
    return std::fma(static_cast<float>(minima), -FromHalf(w.dmin), part);
  return part;
}

// Weights that meet activations with a scale for each 256.
template <typename Block>
float SuperDot(const uint8_t* row, const uint8_t* operand, size_t columns) {
  const size_t blocks = columns / 32;
  float sum = 0;
  for (size_t super = 0; super < blocks; super += 8) {
    const float part = PartOf<Block>(row, operand, super, std::min(super + 8, blocks));
    sum = std::fma(part, Load<OperandBlock>(operand, super).scale, sum);
  }
  return sum;
}

using RowDot = float (*)(const uint8_t* row, const uint8_t* operand, size_t columns);

template <DType kType, OperandKind kOperand, RowDot kDot>
void Multiply(const MatrixProduct& p) {
  for (size_t t = 0; t < p.tokens; ++t) {
    const uint8_t* operand = p.operands + t * OperandBytes(kOperand, p.columns);
    for (size_t r = 0; r < p.rows; ++r) {
      float sum = kDot(p.panels + r * RowBytes<kType>(p.columns), operand, p.columns);
      if (p.bias != nullptr) sum += p.bias[r];
      float& into = p.into[t * p.into_stride + r];
      into = p.accumulate ? into + sum : sum;
    }
  }
}

template <DType kType, typename Block>
void UnpackRow(const uint8_t* panel, size_t row, size_t columns, float* into) {
  const uint8_t* bytes = panel + row * RowBytes<kType>(columns);
  for (size_t k = 0; k < columns; ++k) {
    const auto w = Load<Block>(bytes, k / Block::kElements);
    const size_t i = k % Block::kElements;
    into[k] = WeightOf<Block>(ScalingOf(w, i / Block::kSubBlock), QuantOf(w, i));
  }
}

template <DType kType>
void UnpackFloatRow(const uint8_t* panel, size_t row, size_t columns, float* into) {
  const uint8_t* bytes = panel + row * RowBytes<kType>(columns);
  for (size_t k = 0; k < columns; ++k) into[k] = Element(kType, bytes, k);
}

template <DType kType, OperandKind kOperand, RowDot kDot>
constexpr MatrixKernels FloatKernels() {
  return {kOperand, PanelBytes<kType>, Pack<kType>, UnpackFloatRow<kType>,
          Multiply<kType, kOperand, kDot>};
}

template <DType kType, typename Block>
constexpr MatrixKernels IntegerKernels() {
  constexpr OperandKind kOperand = kOperandOf<Block>;
  return {kOperand,
          PanelBytes<kType>,
          Pack<kType>,
          UnpackRow<kType, Block>,
          Multiply < kType,
          kOperand,
          kOperand == OperandKind::kSuperInt8 ? SuperDot<Block> : Dot < Block >> };
}

// ---- activations ----

uint32_t LargestMagnitude(const float* x, size_t n) {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  }
  return largest;
}

// 32 activations, of which some have the largest magnitude amax. Their sum is multiplied by the
// scale where the 32 have it for themselves.
OperandBlock Quantize(const float* x, float amax, OperandKind kind) {
  const bool alone = kind == OperandKind::kInt8;
  OperandBlock block{};
  if (amax < 1e-30f) return block;
  block.scale = amax / LargestInteger(kind);
  if (!(amax <= std::numeric_limits<float>::max())) {
    block.scale = std::numeric_limits<float>::quiet_NaN();
    if (alone) block.sum = block.scale;
    return block;
  }
  const float inverse = LargestInteger(kind) / amax;
  int32_t sums[2] = {0, 0};
  for (size_t i = 0; i < 32; ++i) {
    block.q[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
    sums[i / 16] += block.q[i];
  }
  const int32_t sum = sums[0] + sums[1];
  block.sum = (alone ? block.scale : 1.0f) * static_cast<float>(sum);
  block.offset8 = -8 * sum;
  block.offset128 = -128 * sum;
  block.offset32[0] = -32 * sums[0];
  block.offset32[1] = -32 * sums[1];
  return block;
}

template <OperandKind kKind>
void PrepareInt8(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  constexpr size_t kScaled = kKind == OperandKind::kInt8 ? 32 : 256;  // share a scale
  for (size_t k = 0; k < columns; k += 32) {
    const size_t first = k / kScaled * kScaled;
    const size_t count = std::min(kScaled, columns - first);
    const auto amax = std::bit_cast<float>(LargestMagnitude(x + first, count));
    const OperandBlock block = Quantize(x + k, amax, kKind);
    std::memcpy(into + (k / 32 * tile + at) * sizeof(block), &block, sizeof(block));
  }
}

void PrepareBrain(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  for (size_t k = 0; k < columns; k += 2) {
    const uint16_t pair[2] = {ToBrainFactor(x[k]),
                              k + 1 < columns ? ToBrainFactor(x[k + 1]) : uint16_t{0}};
    std::memcpy(into + (k / 2 * tile + at) * sizeof(pair), pair, sizeof(pair));
  }
}

void PrepareFloat(const float* x, size_t columns, size_t tile, size_t at, uint8_t* into) {
  for (size_t k = 0; k < columns; ++k) {
    std::memcpy(into + (k * tile + at) * sizeof(float), x + k, sizeof(float));
  }
}

// ---- row operations ----

float Reduce(float* lanes) {
  for (size_t width = kLanes / 2; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

float SumOfSquares(const float* x, size_t n) {
  float lanes[kLanes] = {};
  for (size_t i = 0; i < n; ++i) lanes[i % kLanes] = std::fma(x[i], x[i], lanes[i % kLanes]);
  return Reduce(lanes);
}

void RmsNorm(const float* x, const float* weight, float epsilon, size_t n, float* into) {
  const float mean = SumOfSquares(x, n) / static_cast<float>(n);
  const float inverse = 1.0f / std::sqrt(mean + epsilon);
  for (size_t i = 0; i < n; ++i) into[i] = (x[i] * inverse) * weight[i];
}

// exp on [-87, 88], clamped there: 2^n * p(r) with x = n ln2 + r; p is the Taylor polynomial of
// degree 7, whose error on |r| <= ln2 / 2 is below 1 ulp of F32. ln2 in two parts after Cody and
// Waite.
float Exp(float x) {
  if (std::isnan(x)) return x;
  x = std::min(std::max(x, -87.0f), 88.0f);
  const float n = std::nearbyint(x * 1.44269504f);
  const float r = std::fma(n, 2.12194440e-4f, std::fma(n, -0.693359375f, x));
  float p = 1.0f / 5040;
  for (const float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
    p = std::fma(p, r, c);
  }
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

void SiluMultiply(const float* gate, const float* up, size_t n, float* into) {
  for (size_t i = 0; i < n; ++i) into[i] = gate[i] / (1.0f + Exp(-gate[i])) * up[i];
}

constexpr float kGeluSlope = -1.59576912f;  // -2 sqrt(2 / pi)
constexpr float kGeluCubic = 0.044715f;

void GeluMultiply(const float* gate, const float* up, size_t n, float* into) {
  for (size_t i = 0; i < n; ++i) {
    const float x = gate[i];
    const float bent = std::fma(x * x, x * kGeluCubic, x);
    into[i] = x / (1.0f + Exp(bent * kGeluSlope)) * up[i];
  }
}

constexpr float kSwigluLimit = 7.0f;
constexpr float kSwigluSlope = -1.702f;

// As vector instructions choose: the second where one is no number.
float Smaller(float a, float b) {
  return a < b ? a : b;
}
float Larger(float a, float b) {
  return a > b ? a : b;
}

void ClampedSwiglu(const float* gate, const float* up, size_t n, float* into) {
  for (size_t i = 0; i < n; ++i) {
    const float g = Smaller(kSwigluLimit, gate[i]);
    const float u = Larger(-kSwigluLimit, Smaller(kSwigluLimit, up[i]));
    into[i] = g / (1.0f + Exp(g * kSwigluSlope)) * (u + 1.0f);
  }
}

void AddScaled(const float* x, float scale, size_t n, float* into) {
  for (size_t i = 0; i < n; ++i) into[i] = std::fma(x[i], scale, into[i]);
}

void Rope(float* row, const float* cos_sin, size_t first, size_t pairs, size_t head_dim,
          size_t heads, float scale) {
  for (size_t h = 0; h < heads; ++h, row += head_dim) {
    for (size_t i = 0; i < first; ++i) row[i] *= scale;
    float* turning = row + first;
    for (size_t i = 0; i < pairs; ++i) {
      const float c = cos_sin[2 * i];
      const float s = cos_sin[2 * i + 1];
      const float a = turning[2 * i];
      const float b = turning[2 * i + 1];
      turning[2 * i] = std::fma(a, c, -(b * s)) * scale;
      turning[2 * i + 1] = std::fma(b, c, a * s) * scale;
    }
    for (size_t i = first + 2 * pairs; i < head_dim; ++i) row[i] *= scale;
  }
}

void ToHalfs(const float* x, size_t n, uint16_t* into) {
  for (size_t i = 0; i < n; ++i) into[i] = ToHalf(x[i]);
}

void FromHalfs(const uint16_t* x, size_t n, float* into) {
  for (size_t i = 0; i < n; ++i) into[i] = FromHalf(x[i]);
}

// ---- attention ----

struct Softmax {
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0;
};

size_t ValueDim(const AttentionTile& tile) {
  return kernels::ValueDim(tile.head_dim, tile.latent);
}

// Of query (t, g) in `q`, and of what becomes of it in `into`.
size_t QueryAt(const AttentionTile& tile, size_t t, size_t g) {
  return t * tile.stride + g * tile.head_dim;
}
size_t ResultAt(const AttentionTile& tile, size_t t, size_t g) {
  return t * (tile.stride / tile.head_dim * ValueDim(tile)) + g * ValueDim(tile);
}

// Element d of key j of the page at `keys`.
float KeyAt(const AttentionTile& tile, const uint8_t* keys, size_t j, size_t d) {
  const size_t line = j / kLanes;
  const size_t lane = j % kLanes;
  const size_t at = (line * KvWidth(tile.head_dim) + d) * kLanes + lane;
  if (tile.kv_type == KvType::kF32) return Load<float>(keys, at);
  if (tile.kv_type == KvType::kF16) return FromHalf(Load<Half>(keys, at));
  const auto block = Load<KeyBlockQ8_0>(keys, line * (tile.head_dim / 32) + d / 32);
  return FromHalf(block.d[lane]) * static_cast<float>(block.q[d % 32][lane]);
}

// Element d of the value of token j of a page.
float ValueAt(const AttentionTile& tile, size_t page, size_t j, size_t d) {
  if (tile.latent > 0) return KeyAt(tile, tile.keys + page, j, d);
  const uint8_t* values = tile.values + page;
  const size_t at = j * KvWidth(tile.head_dim) + d;
  if (tile.kv_type == KvType::kF32) return Load<float>(values, at);
  if (tile.kv_type == KvType::kF16) return FromHalf(Load<Half>(values, at));
  const auto block = Load<BlockQ8_0>(values, j * (tile.head_dim / 32) + d / 32);
  return FromHalf(block.d) * static_cast<float>(block.q[d % 32]);
}

// The first key that a token sees.
size_t FirstKeyOf(const AttentionTile& tile, size_t position) {
  return tile.window == 0 || position + 1 < tile.window ? 0 : position + 1 - tile.window;
}

// Keys [begin, end) of the block of 64 that begins at `block`, which a token sees.
struct KeysInSight {
  size_t begin;
  size_t end;
};
KeysInSight SightOf(const AttentionTile& tile, size_t position, size_t block) {
  const size_t first = FirstKeyOf(tile, position);
  return {first > block ? first - block : 0, std::min(kKeyBlock, position + 1 - block)};
}

float SoftCap(float score, float cap) {
  return (1.0f - 2.0f / (Exp(score * (2.0f / cap)) + 1.0f)) * cap;
}

void SoftCapAll(float* x, float cap, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = SoftCap(x[i], cap);
}

// scores[j] = q . k[j] for the `visible` first keys of the block in the page at `keys`.
void Scores(const AttentionTile& tile, const float* q, const uint8_t* keys, size_t visible,
            float* scores) {
  for (size_t j = 0; j < visible; ++j) {
    float sum = 0;
    for (size_t d = 0; d < tile.head_dim; ++d) sum = std::fma(q[d], KeyAt(tile, keys, j, d), sum);
    scores[j] = sum;
  }
}

// Turns scores into weights relative to the new maximum; returns what earlier sums shrink by.
float Rescale(Softmax& state, float* scores, const KeysInSight& keys) {
  float max = state.max;
  for (size_t j = keys.begin; j < keys.end; ++j) max = std::max(max, scores[j]);
  const float shrink = Exp(state.max - max);
  float lanes[kLanes] = {};
  for (size_t j = keys.begin; j < keys.end; ++j) {
    scores[j] = Exp(scores[j] - max);
    lanes[j % kLanes] += scores[j];
  }
  state.max = max;
  state.sum = std::fma(state.sum, shrink, Reduce(lanes));
  return shrink;
}

void AttendRow(const AttentionTile& tile, const float* q, size_t position, const float* sink,
               float* into) {
  Softmax state;
  float scores[kKeyBlock];
  std::fill_n(into, ValueDim(tile), 0.0f);
  for (size_t block = FirstKeyOf(tile, position) / kKeyBlock; block * kKeyBlock <= position;
       ++block) {
    const KeysInSight keys = SightOf(tile, position, block * kKeyBlock);
    const size_t page = static_cast<size_t>(tile.pages[block]) * tile.page_bytes;
    Scores(tile, q, tile.keys + page, keys.end, scores);
    if (tile.softcap > 0) {
      for (size_t j = 0; j < keys.end; ++j) scores[j] = SoftCap(scores[j], tile.softcap);
    }
    const float shrink = Rescale(state, scores, keys);
    for (size_t d = 0; d < ValueDim(tile); ++d) {
      float sum = into[d] * shrink;
      for (size_t j = keys.begin; j < keys.end; ++j) {
        sum = std::fma(scores[j], ValueAt(tile, page, j, d), sum);
      }
      into[d] = sum;
    }
  }
  float share = 1;
  if (sink != nullptr) {
    const float now = std::max(state.max, *sink);
    share = Exp(state.max - now);
    state.sum = std::fma(state.sum, share, Exp(*sink - now));
  }
  for (size_t d = 0; d < ValueDim(tile); ++d) into[d] = into[d] * share / state.sum;
}

void Attend(const AttentionTile& tile) {
  for (size_t t = 0; t < tile.tokens; ++t) {
    for (size_t g = 0; g < tile.group; ++g) {
      const float* sink = tile.sinks == nullptr ? nullptr : tile.sinks + g;
      AttendRow(tile, tile.q + QueryAt(tile, t, g), tile.first + t, sink,
                tile.into + ResultAt(tile, t, g));
    }
  }
}

// ---- attention with BF16 products ----

constexpr float kLog2E = 1.44269504f;

float ToBrain(float value) {
  return FromBrain(ToBrainFactor(value));
}

// a0 * b0 + a1 * b1 + sum, the second product first.
float AddPair(float a0, float b0, float a1, float b1, float sum) {
  return std::fma(a0, b0, std::fma(a1, b1, sum));
}

// 2^t for t <= 0, zero below 2^-50: 2^n * p(r) with t = n + r, the polynomial's relative error
// below 3e-6, which rounding to BF16 hides.
float PowerOfTwoUpTo1(float t) {
  if (t < -50.0f) return 0;
  const float n = std::nearbyint(t);
  float p = 0.00958285294f;
  for (const float c : {0.0559064262f, 0.240240991f, 0.693124175f, 1.0f}) {
    p = std::fma(p, t - n, c);
  }
  return std::ldexp(p, std::isnan(n) ? 0 : static_cast<int>(n));
}

// What the keys of one segment come to for one query.
struct Segment {
  float max = -std::numeric_limits<float>::infinity();
  float total = 0;
  std::vector<float> sums;
};

void BrainScores(const AttentionTile& tile, std::span<const float> q, const uint8_t* keys,
                 size_t visible, float* scores) {
  const size_t head_dim = q.size();
  for (size_t j = 0; j < visible; ++j) {
    const auto key = [&](size_t d) {
      return d < head_dim ? ToBrain(KeyAt(tile, keys, j, d)) : 0.0f;
    };
    scores[j] = 0;
    for (size_t d = 0; d < head_dim; d += 2) {
      const float second = d + 1 < head_dim ? q[d + 1] : 0.0f;
      scores[j] = AddPair(q[d], key(d), second, key(d + 1), scores[j]);
    }
  }
}

// Scores become rounded weights, and `lanes` their sums.
float BrainWeights(float* scores, const KeysInSight& keys, float& max, float* lanes) {
  float now = max;
  for (size_t j = keys.begin; j < keys.end; ++j) now = std::max(now, scores[j]);
  const float shrink = now > max ? PowerOfTwoUpTo1(max - now) : 1.0f;
  for (size_t i = 0; i < kLanes; ++i) lanes[i] *= shrink;
  for (size_t j = keys.begin; j < keys.end; ++j) {
    scores[j] = ToBrain(PowerOfTwoUpTo1(scores[j] - now));
    lanes[j % kLanes] += scores[j];
  }
  max = now;
  return shrink;
}

Segment AttendToSegment(const AttentionTile& tile, std::span<const float> q, size_t first,
                        size_t position) {
  Segment segment{.sums = std::vector<float>(ValueDim(tile))};
  float lanes[kLanes] = {};
  const size_t end = std::min(position + 1, first + kSegmentKeys);
  const size_t first_seen = FirstKeyOf(tile, position) / kKeyBlock * kKeyBlock;
  for (size_t begin = std::max(first, first_seen); begin < end; begin += kKeyBlock) {
    const KeysInSight keys = SightOf(tile, position, begin);
    const size_t page = static_cast<size_t>(tile.pages[begin / kKeyBlock]) * tile.page_bytes;
    float scores[kKeyBlock];
    BrainScores(tile, q, tile.keys + page, keys.end, scores);
    if (tile.softcap > 0) {
      for (size_t j = 0; j < keys.end; ++j) {
        scores[j] = SoftCap(scores[j], tile.softcap * kLog2E);
      }
    }
    const float shrink = BrainWeights(scores, keys, segment.max, lanes);
    for (size_t d = 0; d < segment.sums.size(); ++d) {
      const auto seen = [&](size_t j) { return j >= keys.begin && j < keys.end; };
      const auto weight = [&](size_t j) { return seen(j) ? scores[j] : 0.0f; };
      const auto value = [&](size_t j) {
        return seen(j) ? ToBrain(ValueAt(tile, page, j, d)) : 0.0f;
      };
      float& sum = segment.sums[d];
      sum *= shrink;
      for (size_t j = keys.begin / 2 * 2; j < keys.end; j += 2) {
        sum = AddPair(weight(j), value(j), weight(j + 1), value(j + 1), sum);
      }
    }
  }
  segment.total = Reduce(lanes);
  return segment;
}

void Merge(Segment& all, const Segment& more) {
  const float now = std::max(all.max, more.max);
  const float old_share = PowerOfTwoUpTo1(all.max - now);
  const float new_share = PowerOfTwoUpTo1(more.max - now);
  all.max = now;
  all.total = std::fma(more.total, new_share, all.total * old_share);
  for (size_t d = 0; d < all.sums.size(); ++d) {
    all.sums[d] = std::fma(more.sums[d], new_share, all.sums[d] * old_share);
  }
}

const float* SinkOf(const AttentionTile& tile, size_t row) {
  return tile.sinks == nullptr ? nullptr : tile.sinks + row % tile.group;
}

// Calls body(where its result goes, row, query as BF16, position) for every row of the tile.
template <typename Body>
void ForEachQuery(const AttentionTile& tile, const Body& body) {
  for (size_t row = 0; row < tile.tokens * tile.group; ++row) {
    const size_t t = row / tile.group;
    const float* from = tile.q + QueryAt(tile, t, row % tile.group);
    std::vector<float> q(from, from + tile.head_dim);
    for (float& x : q) x = ToBrain(x * kLog2E);
    body(tile.into + ResultAt(tile, t, row % tile.group), row, std::span<const float>(q),
         tile.first + t);
  }
}

// A sink is merged like a segment that has no values.
void Finish(Segment all, const float* sink, float* into) {
  if (sink != nullptr) Merge(all, {*sink * kLog2E, 1.0f, std::vector<float>(all.sums.size())});
  for (size_t d = 0; d < all.sums.size(); ++d) into[d] = all.sums[d] / all.total;
}

void AttendBrain(const AttentionTile& tile) {
  ForEachQuery(tile, [&](float* into, size_t row, std::span<const float> q, size_t position) {
    size_t first = FirstKeyOf(tile, position) / kSegmentKeys * kSegmentKeys;
    Segment all = AttendToSegment(tile, q, first, position);
    while ((first += kSegmentKeys) <= position) {
      Merge(all, AttendToSegment(tile, q, first, position));
    }
    Finish(std::move(all), SinkOf(tile, row), into);
  });
}

void AttendSegment(const AttentionTile& tile, size_t index, float* partial) {
  ForEachQuery(tile, [&](float*, size_t row, std::span<const float> q, size_t position) {
    const Segment segment = AttendToSegment(tile, q, index * kSegmentKeys, position);
    float* into = partial + row * PartialFloats(ValueDim(tile));
    std::copy(segment.sums.begin(), segment.sums.end(), into);
    into[KvWidth(ValueDim(tile))] = segment.max;
    into[KvWidth(ValueDim(tile)) + 1] = segment.total;
  });
}

void MergeSegments(const AttentionTile& tile, float* partials, size_t partial_stride) {
  ForEachQuery(tile, [&](float* into, size_t row, std::span<const float>, size_t position) {
    const auto read = [&](size_t index) {
      const size_t dim = ValueDim(tile);
      const float* from = partials + index * partial_stride + row * PartialFloats(dim);
      const float* ends = from + KvWidth(dim);
      return Segment{ends[0], ends[1], {from, from + dim}};
    };
    const size_t first = FirstKeyOf(tile, position) / kSegmentKeys;
    Segment all = read(first);
    for (size_t i = first + 1; i <= position / kSegmentKeys; ++i) Merge(all, read(i));
    Finish(std::move(all), SinkOf(tile, row), into);
  });
}

// ---- peaks ----

int64_t PeakInt8(size_t iterations) {
  int32_t sums[kLanes] = {};
  for (size_t i = 0; i < iterations; ++i) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += static_cast<int8_t>(i + lane) * 3;
  }
  return sums[iterations % kLanes];
}

float PeakFused(size_t iterations) {
  float sums[kLanes] = {};
  for (size_t i = 0; i < iterations; ++i) {
    for (float& sum : sums) sum = sum * 0.5f + 1.0f;
  }
  return sums[iterations % kLanes];
}

uint64_t PeakRead(const uint8_t* bytes, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count / 8; ++i) sum ^= Load<uint64_t>(bytes, i);
  return sum;
}

}  // namespace

const KernelTable kReferenceTable = {
    .name = "reference",
    .tile_tokens = 1,
    .f32 = FloatKernels<DType::kF32, OperandKind::kFloat, FloatDot>(),
    .f16 = FloatKernels<DType::kF16, OperandKind::kBrain, BrainDot<DType::kF16>>(),
    .bf16 = FloatKernels<DType::kBF16, OperandKind::kBrain, BrainDot<DType::kBF16>>(),
    .q8_0 = IntegerKernels<DType::kQ8_0, BlockQ8_0>(),
    .q4_0 = IntegerKernels<DType::kQ4_0, BlockQ4_0>(),
    .q4_k = IntegerKernels<DType::kQ4_K, BlockQ4_K>(),
    .q6_k = IntegerKernels<DType::kQ6_K, BlockQ6_K>(),
    .q4_1 = IntegerKernels<DType::kQ4_1, BlockQ4_1>(),
    .q5_0 = IntegerKernels<DType::kQ5_0, BlockQ5_0>(),
    .q5_1 = IntegerKernels<DType::kQ5_1, BlockQ5_1>(),
    .q2_k = IntegerKernels<DType::kQ2_K, BlockQ2_K>(),
    .q3_k = IntegerKernels<DType::kQ3_K, BlockQ3_K>(),
    .q5_k = IntegerKernels<DType::kQ5_K, BlockQ5_K>(),
    .iq4_nl = IntegerKernels<DType::kIQ4_NL, BlockIQ4_NL>(),
    .iq4_xs = IntegerKernels<DType::kIQ4_XS, BlockIQ4_XS>(),
    .mxfp4 = IntegerKernels<DType::kMXFP4, BlockMXFP4>(),
    .mlx4 = IntegerKernels<DType::kMlx4, BlockMlx4>(),
    .mlx8 = IntegerKernels<DType::kMlx8, BlockMlx8>(),
    .mlx8_half = IntegerKernels<DType::kMlx8Half, BlockMlx8Half>(),
    .prepare_int8 = PrepareInt8<OperandKind::kInt8>,
    .prepare_super_int8 = PrepareInt8<OperandKind::kSuperInt8>,
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
    .to_half = ToHalfs,
    .from_half = FromHalfs,
    .peaks = {2 * kLanes, 2 * kLanes, 2 * kLanes, PeakInt8, PeakFused, PeakFused, PeakRead},
};

}  // namespace baton::kernels
