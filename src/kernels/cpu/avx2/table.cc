#include "kernels/cpu/avx2/table.h"

#include <type_traits>

#include <immintrin.h>

#include "kernels/cpu/layout.h"
#include "kernels/half.h"

namespace baton::kernels {
namespace {

#include "kernels/cpu/avx2/vec.h"
#include "kernels/cpu/x86/stream.h"
// In this order: the bodies are written over vec.h and quant.h.
#include "kernels/cpu/avx2/brain.h"
#include "kernels/cpu/avx2/quant.h"
#include "kernels/cpu/body.h"

}  // namespace

constinit const KernelTable kAvx2Table = BodyTable("avx2");

}  // namespace baton::kernels
