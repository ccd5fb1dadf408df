#include "kernels/select.h"

#include "kernels/isa_tables.h"
#include "kernels/reference/table.h"

namespace baton::kernels {

std::vector<const KernelTable*> AvailableKernels() {
  std::vector<const KernelTable*> tables = IsaTables();
  tables.push_back(&kReferenceTable);
  return tables;
}

Result<const KernelTable*> SelectKernels(std::string_view name) {
  const std::vector<const KernelTable*> tables = AvailableKernels();
  if (name.empty()) return tables.front();
  std::string names;
  for (const KernelTable* table : tables) {
    if (name == table->name) return table;
    names += names.empty() ? table->name : fmt::format(", {}", table->name);
  }
  return MakeError(Code::kInvalidArgument, "no kernels '{}' on this processor; there are: {}", name,
                   names);
}

}  // namespace baton::kernels
