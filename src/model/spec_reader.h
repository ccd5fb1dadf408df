// From an opened checkpoint to a ModelSpec. Which architectures baton runs is one table in
// spec_reader.cc; each family's own keys and tensors are in model/family/.
#pragma once

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/spec.h"

namespace baton {

// Reads and checks everything that ModelSpec promises, including that every tensor of the family is
// there in its shape. An architecture that baton does not run is kUnimplemented, named beside those
// that it does.
Result<ModelSpec> ReadSpec(const Checkpoint& checkpoint);

}  // namespace baton
