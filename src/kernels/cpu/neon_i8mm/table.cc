#include "kernels/cpu/neon_i8mm/table.h"

#include <arm_neon.h>

#include "kernels/cpu/layout.h"
#include "kernels/half.h"

namespace baton::kernels {
namespace {

#include "kernels/cpu/neon/vec.h"
// In this order: the products are written over vec.h,
#include "kernels/cpu/neon/brain.h"
#include "kernels/cpu/neon_i8mm/dot.h"
// quant.h over dot.h,
#include "kernels/cpu/neon_dotprod/quant.h"
// and the bodies over all of them.
#include "kernels/cpu/body.h"

}  // namespace

constinit const KernelTable kNeonI8mmTable = BodyTable("neon_i8mm");

}  // namespace baton::kernels
