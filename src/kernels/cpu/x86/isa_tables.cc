#include "kernels/isa_tables.h"

#include "kernels/cpu/avx2/table.h"
#include "kernels/cpu/avx512/table.h"
#include "kernels/cpu/avx512bf16/table.h"
#include "kernels/cpu/zen4/table.h"
#include "kernels/cpu/zen5/table.h"

namespace baton::kernels {
namespace {

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

bool HasAvx512Bf16() {
  return HasAvx512() && __builtin_cpu_supports("avx512bf16");
}

// Of AMD's processors: none before Zen 5 has this instruction.
bool IsZen5() {
  return __builtin_cpu_supports("avx512vp2intersect");
}

// Every processor with AVX2 has F16C.
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

}  // namespace

std::vector<const KernelTable*> IsaTables() {
  std::vector<const KernelTable*> tables;
  if (HasAvx512Bf16()) {  // all of them run on either maker's processors, one of them fastest
    tables = {&kAvx512Bf16Table, &kZen4Table, &kZen5Table};
    const size_t fastest = !__builtin_cpu_is("amd") ? 0 : IsZen5() ? 2 : 1;
    std::swap(tables[0], tables[fastest]);
  }
  if (HasAvx512()) tables.push_back(&kAvx512Table);
  if (HasAvx2()) tables.push_back(&kAvx2Table);
  return tables;
}

}  // namespace baton::kernels
