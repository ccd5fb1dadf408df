#include "kernels/isa_tables.h"

#include "kernels/cpu/avx2/table.h"
#include "kernels/cpu/avx512/table.h"
#include "kernels/cpu/avx512bf16/table.h"
#include "kernels/cpu/zen4/table.h"

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

// Every processor with AVX2 has F16C.
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

}  // namespace

std::vector<const KernelTable*> IsaTables() {
  std::vector<const KernelTable*> tables;
  if (HasAvx512Bf16()) {  // both run on either maker's processors, one of them faster
    tables = {&kAvx512Bf16Table, &kZen4Table};
    if (__builtin_cpu_is("amd")) std::swap(tables[0], tables[1]);
  }
  if (HasAvx512()) tables.push_back(&kAvx512Table);
  if (HasAvx2()) tables.push_back(&kAvx2Table);
  return tables;
}

}  // namespace baton::kernels
