#include "kernels/cpu/avx512bf16/table.h"

#include <immintrin.h>

#include "kernels/cpu/layout.h"
#include "kernels/half.h"

namespace baton::kernels {
namespace {

#include "kernels/cpu/avx512/vec.h"
#include "kernels/cpu/x86/stream.h"
// In this order: the bodies are written over vec.h and quant.h.
#include "kernels/cpu/avx512/quant.h"
// Intel's processors multiply BF16 at six tenths of F32's rate: worth it only where values are
// stored for it, which attention does.
#include "kernels/cpu/avx512/pairs.h"
#include "kernels/cpu/avx512bf16/brain.h"
constexpr size_t kPanelsOfSums = 0;  // no products of sums
#include "kernels/cpu/body.h"

}  // namespace

constinit const KernelTable kAvx512Bf16Table = BodyTable("avx512bf16");

}  // namespace baton::kernels
