// The oracle: scalar code on weights as files store them. Slow, and always there.
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kReferenceTable;

}  // namespace baton::kernels
