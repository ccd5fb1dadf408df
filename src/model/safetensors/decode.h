// What becomes of stored weights on their way to a device: the formats of Hugging Face's hub that
// no GGUF file has, as the types that baton computes with. Pure functions over bytes; nothing is
// lost but what each says.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace baton::safetensors {

// ---- FP8: E4M3 of the OCP 8-bit floating point specification, without infinities ----

float FromF8E4M3(uint8_t bits);
// One row as BF16: each weight times the scale of its block of `block` columns, in F32, then
// rounded to nearest even, which is what DeepSeek's own conversion (fp8_cast_bf16.py) does.
void DecodeF8Row(std::span<const uint8_t> row, std::span<const float> scales, size_t block,
                 std::span<uint8_t> into);

// ---- MXFP4 as gpt-oss stores it: byte j of a block of 32 holds weights 2j and 2j + 1 (low nibble
// first), its E8M0 exponents lie apart. GGUF's blocks hold the same numbers ----

void DecodeMxfp4(std::span<const uint8_t> blocks, std::span<const uint8_t> exponents,
                 std::span<uint8_t> into);

// ---- MLX: groups of weights w = scale * q + bias, q of 4 or 8 bits, little endian in words ----

enum class ScaleType : uint8_t { kF16, kBF16, kF32 };
struct MlxFormat {
  int bits = 4;         // 4 or 8
  int group_size = 64;  // a multiple of 32
  ScaleType scales = ScaleType::kBF16;
};
// What rows become: blocks of 32 that keep scale, bias and integers as they are or, where those
// are F32, which nothing computes with, their F32 products.
DType TypeOf(const MlxFormat& format);
// Any number of whole rows: their words, the scales and the biases of their groups.
void DecodeMlx(const MlxFormat& format, std::span<const uint8_t> words,
               std::span<const uint8_t> scales, std::span<const uint8_t> biases,
               std::span<uint8_t> into);

}  // namespace baton::safetensors
