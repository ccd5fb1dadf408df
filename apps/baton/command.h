// The command line (DESIGN: "a contract"). One file per verb; each adds its subcommand to the root
// and, when chosen, leaves its work in `chosen`, which main() runs after parsing.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Data goes to standard output,
// progress and errors to standard error.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "tensor/kv_type.h"

namespace baton::app {

// What the environment says, read once in main(): nothing below apps/ calls getenv.
struct Environment {
  std::string home;         // $BATON_HOME, or $XDG_DATA_HOME/baton, or ~/.local/share/baton
  std::string models_path;  // $BATON_MODELS: colon-separated folders searched for models first
  std::string kernels;      // $BATON_KERNELS: force an instruction set; empty picks the best
  std::string user_home;    // $HOME
  std::string
      hf_hub;  // Hugging Face cache: $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub
  std::string ollama;          // $OLLAMA_MODELS or ~/.ollama/models
  std::string api;             // $BATON_API: HOST:PORT of the node that verbs talk to
  std::string api_key;         // $BATON_API_KEY
  std::string executable_dir;  // folder of the running program: the shipped model lies near it
  bool boxes = false;          // standard output is a terminal that shows UTF-8
  bool colour = false;         // standard error is a terminal and NO_COLOR is not set
};
Environment ReadEnvironment();

using Work = std::function<int()>;
using AddCommand = void (*)(CLI::App& root, const Environment& environment, Work& chosen);

// An option whose value is the name of a KvType.
void AddKvType(CLI::App& verb, const std::string& name, std::optional<KvType>& type,
               const std::string& help);
void AddKvType(CLI::App& verb, const std::string& name, KvType& type, const std::string& help);

// Prints "baton: MESSAGE" on standard error; returns the exit code 1.
int Fail(const Error& error);

}  // namespace baton::app
