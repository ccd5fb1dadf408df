// The names that people give to models. A name from outside never becomes a path: it is parsed here
// into parts of harmless characters first.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace baton::hub {

enum class NameKind {
  kPlain,        // "llama-3.2-1b", "llama3:8b": a file in a folder, or a model of Ollama
  kHuggingFace,  // "hf.co/ORG/NAME[:QUANT]"
  kOllama,       // "[HOST/]NAMESPACE/MODEL[:TAG]"
};

// Every part is 1 to 96 of A-Z a-z 0-9 . _ - (a host also has ':'), begins with a letter, digit or
// '_', and holds no "..".
struct ModelName {
  NameKind kind = NameKind::kPlain;
  std::string host = "registry.ollama.ai";
  std::string organisation = "library";
  std::string model;
  std::string tag;  // the quantisation, or Ollama's tag; may be empty
};

// kInvalidArgument with the name in it.
Result<ModelName> ParseModelName(std::string_view text);

}  // namespace baton::hub
