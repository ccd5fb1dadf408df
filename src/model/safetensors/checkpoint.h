// A checkpoint that is a folder as on Hugging Face's hub: config.json, safetensors, tokenizer.json.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/checkpoint.h"

namespace baton::safetensors {

Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& folder);

}  // namespace baton::safetensors
