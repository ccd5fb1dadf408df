// A checkpoint that is a GGUF file.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/checkpoint.h"

namespace baton::gguf {

Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& path);

}  // namespace baton::gguf
