// BF16 factors of products, in scalar code: the oracle for what instruction sets do in hardware.
#pragma once

#include <bit>
#include <cstdint>

#include "tensor/half.h"

namespace baton::kernels {

using baton::FromBrain, baton::FromHalf, baton::ToHalf;

// Below 2^-50 a BF16 factor counts as zero. So every non-zero product is a multiple of 2^-114 and
// no sum of products is subnormal: processors whose BF16 dot products flush subnormals to zero give
// the same bits as those that compute with F32.
inline constexpr uint32_t kBrainFactorMin = 0x26800000u;  // as F32 bits

inline uint16_t BrainFactor(uint16_t brain) {
  return (brain & 0x7fffu) < (kBrainFactorMin >> 16) ? 0 : brain;
}

// Round to nearest even, small values to zero as above.
inline uint16_t ToBrainFactor(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  if (magnitude < kBrainFactorMin) return 0;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

}  // namespace baton::kernels
