// Gemma 2 and 3, the text part.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/spec.h"

namespace baton {

Result<ModelSpec> ReadGemmaSpec(const Checkpoint& checkpoint, std::string_view architecture);

}  // namespace baton
