// From a model's spec to what the planner counts with.
#pragma once

#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "model/spec.h"
#include "plan/profile.h"

namespace baton::plan {

// `tensors` say of which type most bytes are.
ModelCost CostOfModel(const ModelSpec& spec, const std::vector<TensorInfo>& tensors,
                      std::string name);

}  // namespace baton::plan
