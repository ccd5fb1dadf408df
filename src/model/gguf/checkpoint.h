// A checkpoint that is a GGUF file, or several (model/gguf/split.h).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/checkpoint.h"

namespace baton::gguf {

// `path` may be any part of a model in several files: all are opened, and must agree.
Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& path);

}  // namespace baton::gguf
