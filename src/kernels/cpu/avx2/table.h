// AVX2 with FMA and F16C (Haswell, Zen and later).
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kAvx2Table;

}  // namespace baton::kernels
