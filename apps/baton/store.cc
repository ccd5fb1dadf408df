#include "apps/baton/store.h"

#include <cstdio>

namespace baton::app {
namespace {

constexpr size_t kInputBytesMax = 256 << 20;

std::vector<std::string> SplitColons(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t colon = std::min(text.find(':', at), text.size());
    if (colon > at) parts.push_back(text.substr(at, colon - at));
    at = colon + 1;
  }
  return parts;
}

}  // namespace

hub::StoreOptions StoreOptionsFrom(const Environment& environment) {
  hub::StoreOptions options;
  options.folders = SplitColons(environment.models_path);
  options.own_folder = environment.home + "/models";
  // Beside a build tree, and where `make install` puts them.
  options.shipped_folders = {environment.executable_dir + "/../../models",
                             environment.executable_dir + "/../share/baton/models"};
  options.hf_hub = environment.hf_hub;
  options.ollama = environment.ollama;
  options.fingerprint_cache = environment.home + "/fingerprints.json";
  return options;
}

Result<std::string> FindModel(const Environment& environment, const std::string& name) {
  const hub::ModelStore store(StoreOptionsFrom(environment));
  BATON_ASSIGN_OR_RETURN(const hub::ModelEntry entry, store.Resolve(name, hub::Paths::kAllowed));
  return entry.path;
}

std::string WithPath(const Environment& environment, const std::string& name) {
  const auto found = FindModel(environment, name);
  const bool is_here = found.ok() && *found == name && name.find('/') == std::string::npos;
  return is_here ? "./" + name : name;
}

Result<std::string> ReadStandardInput() {
  std::string text;
  char buffer[1 << 16];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), stdin)) {
    text.append(buffer, count);
    if (text.size() > kInputBytesMax)
      return MakeError(Code::kInvalidArgument, "standard input has more than {} bytes",
                       kInputBytesMax);
  }
  return text;
}

}  // namespace baton::app
