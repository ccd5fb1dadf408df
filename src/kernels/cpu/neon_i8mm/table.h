// NEON with dot products of unsigned with signed bytes (FEAT_I8MM: Neoverse V1, Apple M2 and
// later).
#pragma once

#include "kernels/table.h"

namespace baton::kernels {

extern const KernelTable kNeonI8mmTable;

}  // namespace baton::kernels
