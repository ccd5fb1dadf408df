// DeepSeek V2, V2-Lite, V3 and R1.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/spec.h"

namespace baton {

Result<ModelSpec> ReadDeepSeekSpec(const Checkpoint& checkpoint, std::string_view architecture);

}  // namespace baton
