// gpt-oss.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/gguf/reader.h"
#include "model/spec.h"

namespace baton {

Result<ModelSpec> ReadGptOssSpec(const gguf::File& file, std::string_view architecture);

}  // namespace baton
