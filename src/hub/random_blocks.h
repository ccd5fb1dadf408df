// Blocks of random weights of every type.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace baton::hub {

// Fills `into`, whole blocks of `type`, with weights of a mean near zero and about the given
// standard deviation. The same arguments give the same bytes on every machine.
void FillWithRandomBlocks(DType type, std::span<uint8_t> into, uint64_t seed, float deviation);

}  // namespace baton::hub
