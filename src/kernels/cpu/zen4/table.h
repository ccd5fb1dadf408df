// As AVX-512 with VNNI and BF16, with products of sums: where additions run beside products (AMD
// from Zen 4 on; Intel's processors do both in the same places).
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kZen4Table;

}  // namespace baton::kernels
