// As zen4, for processors that begin two products of 64 bytes at a time (AMD from Zen 5 on): then
// it is loads that bind, and panels share them.
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kZen5Table;

}  // namespace baton::kernels
