// gpt-oss.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/spec.h"

namespace baton {

Result<ModelSpec> ReadGptOssSpec(const Checkpoint& checkpoint, std::string_view architecture);

}  // namespace baton
