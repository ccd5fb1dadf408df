#include "kernels/cpu/zen5/table.h"

#include <immintrin.h>

#include "kernels/cpu/layout.h"
#include "kernels/half.h"

namespace baton::kernels {
namespace {

#include "kernels/cpu/avx512/vec.h"
#include "kernels/cpu/zen5/stream.h"
// In this order: the bodies are written over vec.h and quant.h.
#include "kernels/cpu/avx512/quant.h"
constexpr size_t kPanelsOfSums = 2;
#include "kernels/cpu/avx512/sums.h"
#include "kernels/cpu/avx512bf16/brain.h"
#include "kernels/cpu/avx512bf16/pairs.h"
#include "kernels/cpu/body.h"

}  // namespace

constinit const KernelTable kZen5Table = BodyTable("zen5");

}  // namespace baton::kernels
