// AVX-512 with VNNI (Ice Lake, Sapphire Rapids, Zen 4 and later).
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kAvx512Table;

}  // namespace baton::kernels
