// NEON as every AArch64 processor has it (Cortex-A53, Cortex-A72 and later).
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kNeonTable;

}  // namespace baton::kernels
