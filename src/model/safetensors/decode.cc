#include "model/safetensors/decode.h"

#include <array>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace baton::safetensors {
namespace {

constexpr size_t kBlock = 32;

constexpr float PowerOfTwo(int exponent) {
  return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
}

// Sign, four bits of exponent (bias 7), three of mantissa; all ones is NaN.
constexpr float ValueOfF8(uint8_t bits) {
  const int exponent = bits >> 3 & 15;
  const int mantissa = bits & 7;
  if ((bits & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0
                              ? static_cast<float>(mantissa) * PowerOfTwo(-9)
                              : static_cast<float>(8 + mantissa) * PowerOfTwo(exponent - 10);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

constexpr std::array<float, 256> kF8 = [] {
  std::array<float, 256> values{};
  for (size_t i = 0; i < values.size(); ++i) values[i] = ValueOfF8(static_cast<uint8_t>(i));
  return values;
}();

// Nibbles of which a byte has two neighbours, as bytes whose high nibbles are 16 weights on.
void RegroupNibbles(const uint8_t* neighbours, uint8_t* q) {
  const auto nibble = [neighbours](size_t i) {
    return static_cast<uint8_t>(neighbours[i / 2] >> (i % 2 * 4) & 15);
  };
  for (size_t j = 0; j < kBlock / 2; ++j)
    q[j] = static_cast<uint8_t>(nibble(j) | nibble(j + kBlock / 2) << 4);
}

template <typename T>
T Load(std::span<const uint8_t> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

void SetIntegers(const uint8_t* words, uint8_t (&q)[16]) {
  RegroupNibbles(words, q);
}
void SetIntegers(const uint8_t* words, uint8_t (&q)[32]) {
  std::memcpy(q, words, sizeof(q));
}

template <typename Block>
void ToBlocks(const MlxFormat& format, std::span<const uint8_t> words,
              std::span<const uint8_t> scales, std::span<const uint8_t> biases,
              std::span<uint8_t> into) {
  const size_t word_bytes = kBlock * static_cast<size_t>(format.bits) / 8;
  const size_t blocks_per_group = static_cast<size_t>(format.group_size) / kBlock;
  for (size_t b = 0; b < into.size() / sizeof(Block); ++b) {
    Block block;
    block.d = Load<uint16_t>(scales, b / blocks_per_group);
    block.m = Load<uint16_t>(biases, b / blocks_per_group);
    SetIntegers(words.data() + b * word_bytes, block.q);
    std::memcpy(into.data() + b * sizeof(Block), &block, sizeof(block));
  }
}

void ToFloats(const MlxFormat& format, std::span<const uint8_t> words,
              std::span<const uint8_t> scales, std::span<const uint8_t> biases,
              std::span<uint8_t> into) {
  for (size_t i = 0; i < into.size() / sizeof(float); ++i) {
    const uint8_t q = format.bits == 8 ? words[i] : words[i / 2] >> (i % 2 * 4) & 15;
    const size_t group = i / static_cast<size_t>(format.group_size);
    const float w =
        std::fma(Load<float>(scales, group), static_cast<float>(q), Load<float>(biases, group));
    std::memcpy(into.data() + i * sizeof(w), &w, sizeof(w));
  }
}

}  // namespace

float FromF8E4M3(uint8_t bits) {
  return kF8[bits];
}

void DecodeF8Row(std::span<const uint8_t> row, std::span<const float> scales, size_t block,
                 std::span<uint8_t> into) {
  CHECK(into.size() == row.size() * sizeof(uint16_t));
  for (size_t i = 0; i < row.size(); ++i) {
    const uint16_t brain = ToBrain(kF8[row[i]] * scales[i / block]);
    std::memcpy(into.data() + i * sizeof(brain), &brain, sizeof(brain));
  }
}

void DecodeMxfp4(std::span<const uint8_t> blocks, std::span<const uint8_t> exponents,
                 std::span<uint8_t> into) {
  CHECK(into.size() == exponents.size() * sizeof(BlockMXFP4));
  for (size_t b = 0; b < exponents.size(); ++b) {
    BlockMXFP4 block;
    block.e = exponents[b];
    RegroupNibbles(blocks.data() + b * sizeof(block.q), block.q);
    std::memcpy(into.data() + b * sizeof(block), &block, sizeof(block));
  }
}

DType TypeOf(const MlxFormat& format) {
  switch (format.scales) {
    case ScaleType::kF16:
      return format.bits == 4 ? DType::kQ4_1 : DType::kMlx8Half;
    case ScaleType::kBF16:
      return format.bits == 4 ? DType::kMlx4 : DType::kMlx8;
    case ScaleType::kF32:
      break;
  }
  return DType::kF32;
}

void DecodeMlx(const MlxFormat& format, std::span<const uint8_t> words,
               std::span<const uint8_t> scales, std::span<const uint8_t> biases,
               std::span<uint8_t> into) {
  switch (TypeOf(format)) {
    case DType::kQ4_1:
      return ToBlocks<BlockQ4_1>(format, words, scales, biases, into);
    case DType::kMlx4:
      return ToBlocks<BlockMlx4>(format, words, scales, biases, into);
    case DType::kMlx8:
      return ToBlocks<BlockMlx8>(format, words, scales, biases, into);
    case DType::kMlx8Half:
      return ToBlocks<BlockMlx8Half>(format, words, scales, biases, into);
    default:
      return ToFloats(format, words, scales, biases, into);
  }
}

}  // namespace baton::safetensors
