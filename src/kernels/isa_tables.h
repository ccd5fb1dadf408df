// The door to instruction-set code: cpu/x86/ on x86-64, cpu/arm/ on AArch64, cpu/portable/
// elsewhere (CMake chooses).
#pragma once

#include <vector>

#include "kernels/table.h"

namespace baton::kernels {

// The tables of instruction sets that this processor has, best first.
std::vector<const KernelTable*> IsaTables();

}  // namespace baton::kernels
