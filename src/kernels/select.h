// Which kernels this machine runs, chosen once by whoever builds the program.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernels/table.h"

namespace baton::kernels {

// The tables that this processor can run, best first; never empty: "reference" is the last.
std::vector<const KernelTable*> AvailableKernels();

// The table called `name`, or the best where `name` is empty. kInvalidArgument lists the names.
Result<const KernelTable*> SelectKernels(std::string_view name);

}  // namespace baton::kernels
