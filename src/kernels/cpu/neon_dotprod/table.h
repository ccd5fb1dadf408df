// NEON with dot products of bytes (FEAT_DotProd: Cortex-A76, Neoverse N1, Apple M1 and later).
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kNeonDotprodTable;

}  // namespace baton::kernels
