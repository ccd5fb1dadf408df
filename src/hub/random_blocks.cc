#include "hub/random_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/random.h"
#include "tensor/blocks.h"

namespace baton::hub {
namespace {

Half ToHalf(float value) {
  // Round to nearest even; the values here are normal numbers in range.
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude < 0x38800000) {  // below the normal range: through a fixed-point addition
    float small;
    std::memcpy(&small, &magnitude, sizeof(small));
    return static_cast<Half>(sign | static_cast<uint32_t>(std::lrint(small * 16777216.0f)));
  }
  const uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return static_cast<Half>(sign | (rounded - 0x38000000) >> 13);
}

uint16_t ToBrainFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

template <size_t n>
void FillRandom(uint8_t (&into)[n], Rng& rng) {
  for (size_t at = 0; at < n; at += 8) {
    const uint64_t bits = rng.Next();
    std::memcpy(into + at, &bits, std::min<size_t>(8, n - at));
  }
}

// A factor around 1, so that blocks differ.
float Jitter(Rng& rng) {
  return 0.75f + 0.5f * static_cast<float>(rng.Uniform());
}

// The same with a random sign. The integers of a block have a mean of -0.5; were the scales all
// positive, every row would share that offset and layers would amplify it until nothing else is
// left.
float SignedJitter(Rng& rng) {
  const float jitter = Jitter(rng);
  return rng.Next() >> 63 == 0 ? jitter : -jitter;
}

// One maker per type: a block of weights with the given standard deviation and mean near zero.

// The deviation of uniform integers of n bits.
template <int kBits>
constexpr float kDeviation = kBits == 2   ? 1.118f
                             : kBits == 3 ? 2.291f
                             : kBits == 4 ? 4.610f
                             : kBits == 5 ? 9.233f
                             : kBits == 6 ? 18.473f
                                          : 73.9f;
constexpr float kDeviationIQ4 = 67.18f;  // of the codebooks
constexpr float kDeviationMXFP4 = 5.852f;

template <typename Block>
Block SymmetricBlock(Rng& rng, float unit) {
  Block block;
  block.d = ToHalf(unit * SignedJitter(rng));
  FillRandom(block.q, rng);
  return block;
}
BlockQ4_0 MakeBlock(Rng& rng, float deviation, BlockQ4_0) {
  return SymmetricBlock<BlockQ4_0>(rng, deviation / kDeviation<4>);
}
BlockIQ4_NL MakeBlock(Rng& rng, float deviation, BlockIQ4_NL) {
  return SymmetricBlock<BlockIQ4_NL>(rng, deviation / kDeviationIQ4);
}
BlockQ5_0 MakeBlock(Rng& rng, float deviation, BlockQ5_0) {
  auto block = SymmetricBlock<BlockQ5_0>(rng, deviation / kDeviation<5>);
  FillRandom(block.qh, rng);
  return block;
}

BlockQ8_0 MakeBlock(Rng& rng, float deviation, BlockQ8_0) {
  BlockQ8_0 block;
  block.d = ToHalf(deviation / kDeviation<8> * SignedJitter(rng));
  uint8_t bytes[32];
  FillRandom(bytes, rng);
  std::memcpy(block.q, bytes, sizeof(bytes));
  return block;
}

// The minimum is the mean of the integers below zero.
template <typename Block>
Block BlockWithMinimum(Rng& rng, float unit, float mean) {
  Block block;
  const float d = unit * Jitter(rng);
  block.d = ToHalf(d);
  block.m = ToHalf(-mean * d);
  FillRandom(block.q, rng);
  return block;
}
BlockQ4_1 MakeBlock(Rng& rng, float deviation, BlockQ4_1) {
  return BlockWithMinimum<BlockQ4_1>(rng, deviation / kDeviation<4>, 7.5f);
}
BlockQ5_1 MakeBlock(Rng& rng, float deviation, BlockQ5_1) {
  auto block = BlockWithMinimum<BlockQ5_1>(rng, deviation / kDeviation<5>, 15.5f);
  FillRandom(block.qh, rng);
  return block;
}

// A power of two: one of the two around the scale wanted, at random.
BlockMXFP4 MakeBlock(Rng& rng, float deviation, BlockMXFP4) {
  BlockMXFP4 block;
  const float exponent = std::log2(deviation / kDeviationMXFP4) + static_cast<float>(rng.Uniform());
  block.e = static_cast<uint8_t>(std::clamp(std::floor(exponent) + 128, 0.0f, 254.0f));
  FillRandom(block.q, rng);
  return block;
}

// All eight scales and minima are 48, and dmin is the integers' mean times d.
template <typename Block>
Block KBlockWithMinima(Rng& rng, float unit, float mean) {
  constexpr int kScale = 48;
  Block block;
  const float d = unit / kScale * Jitter(rng);
  block.d = ToHalf(d);
  block.dmin = ToHalf(mean * d);
  // Bytes 0-3 and 4-7: six bits of the first four scales and minima, and the top two bits of the
  // last four; bytes 8-11: the low nibbles of the last four.
  constexpr uint8_t kFirst = kScale | (kScale >> 4) << 6;
  constexpr uint8_t kLast = (kScale & 15) | (kScale & 15) << 4;
  std::memset(block.scales, kFirst, 8);
  std::memset(block.scales + 8, kLast, 4);
  FillRandom(block.q, rng);
  return block;
}
BlockQ4_K MakeBlock(Rng& rng, float deviation, BlockQ4_K) {
  return KBlockWithMinima<BlockQ4_K>(rng, deviation / kDeviation<4>, 7.5f);
}
BlockQ5_K MakeBlock(Rng& rng, float deviation, BlockQ5_K) {
  auto block = KBlockWithMinima<BlockQ5_K>(rng, deviation / kDeviation<5>, 15.5f);
  FillRandom(block.qh, rng);
  return block;
}

// All scales and minima are 12.
BlockQ2_K MakeBlock(Rng& rng, float deviation, BlockQ2_K) {
  constexpr int kScale = 12;
  BlockQ2_K block;
  const float d = deviation / (kDeviation<2> * kScale) * Jitter(rng);
  block.d = ToHalf(d);
  block.dmin = ToHalf(1.5f * d);
  std::memset(block.scales, kScale | kScale << 4, sizeof(block.scales));
  FillRandom(block.q, rng);
  return block;
}

// All scales are 16, which six bits hold as 48: low nibbles 0, high bits 3.
BlockQ3_K MakeBlock(Rng& rng, float deviation, BlockQ3_K) {
  constexpr int kScale = 16;
  auto block = SymmetricBlock<BlockQ3_K>(rng, deviation / (kDeviation<3> * kScale));
  FillRandom(block.qh, rng);
  std::memset(block.scales, 0, 8);
  std::memset(block.scales + 8, 0xff, 4);
  return block;
}
BlockIQ4_XS MakeBlock(Rng& rng, float deviation, BlockIQ4_XS) {
  constexpr int kScale = 16;
  auto block = SymmetricBlock<BlockIQ4_XS>(rng, deviation / (kDeviationIQ4 * kScale));
  std::memset(block.scales_low, 0, sizeof(block.scales_low));
  block.scales_high = 0xffff;
  return block;
}

BlockQ6_K MakeBlock(Rng& rng, float deviation, BlockQ6_K) {
  constexpr int kScale = 64;
  BlockQ6_K block;
  block.d = ToHalf(deviation / (kDeviation<6> * kScale) * SignedJitter(rng));
  std::memset(block.scales, kScale, sizeof(block.scales));
  FillRandom(block.ql, rng);
  FillRandom(block.qh, rng);
  return block;
}

// The sum of four uniform bytes-and-a-half: close to normal, and cheap.
float Bell(uint64_t bits) {
  const auto sum = static_cast<int32_t>((bits & 0xFFF) + (bits >> 12 & 0xFFF) +
                                        (bits >> 24 & 0xFFF) + (bits >> 36 & 0xFFF));
  return static_cast<float>(sum - 8190) * (1.0f / 2364.8f);
}

struct F32Block {
  float w;
};
struct F16Block {
  Half w;
};
struct Bf16Block {
  uint16_t w;
};
F32Block MakeBlock(Rng& rng, float deviation, F32Block) {
  return {deviation * Bell(rng.Next())};
}
F16Block MakeBlock(Rng& rng, float deviation, F16Block) {
  return {ToHalf(deviation * Bell(rng.Next()))};
}
Bf16Block MakeBlock(Rng& rng, float deviation, Bf16Block) {
  return {ToBrainFloat(deviation * Bell(rng.Next()))};
}

template <typename Block>
void MakeChunk(std::span<uint8_t> into, uint64_t seed, float deviation) {
  Rng rng(seed);
  for (size_t at = 0; at < into.size(); at += sizeof(Block)) {
    const Block block = MakeBlock(rng, deviation, Block{});
    std::memcpy(into.data() + at, &block, sizeof(Block));
  }
}

}  // namespace

void FillWithRandomBlocks(DType type, std::span<uint8_t> into, uint64_t seed, float deviation) {
  switch (type) {
    case DType::kF32:
      return MakeChunk<F32Block>(into, seed, deviation);
    case DType::kF16:
      return MakeChunk<F16Block>(into, seed, deviation);
    case DType::kBF16:
      return MakeChunk<Bf16Block>(into, seed, deviation);
    case DType::kQ4_0:
      return MakeChunk<BlockQ4_0>(into, seed, deviation);
    case DType::kQ8_0:
      return MakeChunk<BlockQ8_0>(into, seed, deviation);
    case DType::kQ4_K:
      return MakeChunk<BlockQ4_K>(into, seed, deviation);
    case DType::kQ6_K:
      return MakeChunk<BlockQ6_K>(into, seed, deviation);
    case DType::kQ4_1:
      return MakeChunk<BlockQ4_1>(into, seed, deviation);
    case DType::kQ5_0:
      return MakeChunk<BlockQ5_0>(into, seed, deviation);
    case DType::kQ5_1:
      return MakeChunk<BlockQ5_1>(into, seed, deviation);
    case DType::kQ2_K:
      return MakeChunk<BlockQ2_K>(into, seed, deviation);
    case DType::kQ3_K:
      return MakeChunk<BlockQ3_K>(into, seed, deviation);
    case DType::kQ5_K:
      return MakeChunk<BlockQ5_K>(into, seed, deviation);
    case DType::kIQ4_NL:
      return MakeChunk<BlockIQ4_NL>(into, seed, deviation);
    case DType::kIQ4_XS:
      return MakeChunk<BlockIQ4_XS>(into, seed, deviation);
    case DType::kMXFP4:
      return MakeChunk<BlockMXFP4>(into, seed, deviation);
    default:
      break;
  }
  CHECK(false, "weights of type {}", InfoOf(type).name);
}

}  // namespace baton::hub
