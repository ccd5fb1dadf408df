#include "kernels/isa_tables.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
#else
#include <sys/auxv.h>
#endif

#include "kernels/cpu/neon/table.h"
#include "kernels/cpu/neon_dotprod/table.h"
#include "kernels/cpu/neon_i8mm/table.h"

namespace baton::kernels {
namespace {

// Only the operating system can say.
#if defined(__APPLE__)
bool Has(const char* feature) {
  int has = 0;
  size_t size = sizeof(has);
  return ::sysctlbyname(feature, &has, &size, nullptr, 0) == 0 && has != 0;
}
bool HasDotProducts() {
  return Has("hw.optional.arm.FEAT_DotProd");
}
bool HasMixedDotProducts() {
  return HasDotProducts() && Has("hw.optional.arm.FEAT_I8MM");
}
#else
bool HasDotProducts() {
  return (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}
bool HasMixedDotProducts() {
  return HasDotProducts() && (::getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}
#endif

}  // namespace

std::vector<const KernelTable*> IsaTables() {
  std::vector<const KernelTable*> tables;
  if (HasMixedDotProducts()) tables.push_back(&kNeonI8mmTable);
  if (HasDotProducts()) tables.push_back(&kNeonDotprodTable);
  tables.push_back(&kNeonTable);
  return tables;
}

}  // namespace baton::kernels
