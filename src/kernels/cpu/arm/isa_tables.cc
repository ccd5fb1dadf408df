#include "kernels/isa_tables.h"

#include <sys/auxv.h>

#include "kernels/cpu/neon/table.h"
#include "kernels/cpu/neon_dotprod/table.h"
#include "kernels/cpu/neon_i8mm/table.h"

namespace baton::kernels {
namespace {

bool HasDotProducts() {
  return (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

bool HasMixedDotProducts() {
  return HasDotProducts() && (::getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}

}  // namespace

std::vector<const KernelTable*> IsaTables() {
  std::vector<const KernelTable*> tables;
  if (HasMixedDotProducts()) tables.push_back(&kNeonI8mmTable);
  if (HasDotProducts()) tables.push_back(&kNeonDotprodTable);
  tables.push_back(&kNeonTable);
  return tables;
}

}  // namespace baton::kernels
