// AVX-512 with BF16 dot products with VNNI (Ice Lake, Sapphire Rapids, Zen 4 and later).
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kAvx512Bf16Table;

}  // namespace baton::kernels
