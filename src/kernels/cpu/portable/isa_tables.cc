#include "kernels/isa_tables.h"

namespace baton::kernels {

std::vector<const KernelTable*> IsaTables() {
  return {};
}

}  // namespace baton::kernels
