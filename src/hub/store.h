// ModelStore: the models on this machine, read in place wherever people already have them: plain
// folders, our own store, Hugging Face's cache, Ollama's blobs. A model is a GGUF file, one in
// several parts, which is listed once, or a folder with config.json and safetensors.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/fingerprint_cache.h"
#include "os/file.h"

namespace baton::hub {

// Where to look; empty strings and absent folders are skipped. Nothing here reads the environment.
struct StoreOptions {
  std::vector<std::string> folders;  // of models, searched first, in this order
  std::string own_folder;            // where `pull` puts models and `rm` takes them from
  std::vector<std::string> shipped_folders;
  std::string hf_hub;             // the `hub` folder of Hugging Face's cache
  std::string ollama;             // the `models` folder of Ollama
  std::string fingerprint_cache;  // a file; empty: in memory only
};

enum class Source { kFolder, kOwn, kShipped, kHuggingFace, kOllama };
// "folder", "own", "shipped", "huggingface", "ollama".
std::string_view NameOf(Source source);

struct ModelEntry {
  std::string name;  // what Resolve() accepts
  std::string path;  // as Checkpoint::Open takes it
  Source source = Source::kFolder;
  os::FileStamp stamp;  // of all its files
};

// Whether a path is a name: yes for the owner's command line, no for requests.
enum class Paths { kRefused, kAllowed };

// Any thread. Looks at the disk at every call; what it finds may be gone a moment later.
class ModelStore {
 public:
  explicit ModelStore(StoreOptions options);

  // All models, in the order in which names are looked up. A name appears once: the first wins.
  std::vector<ModelEntry> List() const;
  // The model of that name: exact, then without regard to case, tag and ".gguf". A Hugging Face
  // name, with or without "hf.co/", is that of safetensors or, without a quantisation, prefers
  // Q4_K_M, then Q8_0. Names are compared with what List()
  // finds and are never made into paths. kNotFound or kInvalidArgument with the name.
  Result<ModelEntry> Resolve(std::string_view name, Paths paths = Paths::kRefused) const;
  // Deletes a model of our own store; kPermissionDenied for one from anywhere else.
  Status Remove(std::string_view name) const;

  Result<std::string> FingerprintOf(const ModelEntry& entry) const;
  // The model with this fingerprint, whatever its name here. kNotFound if there is none.
  Result<ModelEntry> FindByFingerprint(std::string_view fingerprint) const;

 private:
  const StoreOptions options_;
  mutable FingerprintCache fingerprints_;
};

}  // namespace baton::hub
