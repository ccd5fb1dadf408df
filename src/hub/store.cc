#include "hub/store.h"

#include <algorithm>
#include <set>

#include <boost/json.hpp>

#include "hub/model_files.h"
#include "hub/name.h"
#include "model/gguf/split.h"
#include "model/safetensors/folder.h"

namespace baton::hub {
namespace {

constexpr std::string_view kSuffix = ".gguf";
constexpr size_t kManifestBytesMax = 1 << 20;
constexpr std::string_view kPreferred[] = {"q4_k_m", "q8_0", "q4_0", "f16", "bf16"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

std::vector<os::DirectoryEntry> EntriesOf(const std::string& folder) {
  if (folder.empty()) return {};
  auto entries = os::ListDirectory(folder);
  return entries.ok() ? *std::move(entries) : std::vector<os::DirectoryEntry>();
}

// A model file, not the vision part of one.
bool IsModelFile(const os::DirectoryEntry& entry) {
  return !entry.is_directory && entry.name.ends_with(kSuffix) &&
         entry.name.find("mmproj") == std::string::npos;
}

std::string Stem(const std::string& file_name) {
  return file_name.substr(0, file_name.size() - kSuffix.size());
}

// What people call a folder.
std::string LastName(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return folder.substr(folder.rfind('/') + 1);
}

// A folder is a model of the name `prefix` without its slash, or of its own.
ModelEntry FolderEntry(const std::string& folder, Source source, const std::string& prefix) {
  const auto stamp = StampOfModel(folder);  // where its index is damaged, opening it says so
  return {prefix.empty() ? LastName(folder) : prefix.substr(0, prefix.size() - 1), folder, source,
          stamp.ok() ? *stamp : os::FileStamp{}};
}

// *.gguf and folders of safetensors: `folder` and its sub-folders down to `depth`; names are
// relative to `folder`. Of a model in several files the first that is there stands for all.
std::vector<ModelEntry> ListFolder(const std::string& folder, Source source, int depth,
                                   const std::string& prefix = "") {
  std::vector<ModelEntry> models;
  if (!folder.empty() && safetensors::IsModelFolder(folder))
    models.push_back(FolderEntry(folder, source, prefix));
  std::set<std::string> split_stems;
  for (const os::DirectoryEntry& entry : EntriesOf(folder)) {
    const std::string path = folder + "/" + entry.name;
    if (IsModelFile(entry)) {
      const auto part = gguf::ParsePartName(entry.name);
      if (part && !split_stems.insert(fmt::format("{}/{}", part->stem, part->count)).second)
        continue;
      const auto stamp = part ? StampOfModel(path) : Result<os::FileStamp>(entry.stamp);
      models.push_back({prefix + (part ? part->stem : Stem(entry.name)), path, source,
                        stamp.ok() ? *stamp : entry.stamp});
    }
    if (!entry.is_directory || depth == 0) continue;
    const auto inner = ListFolder(path, source, depth - 1, prefix + entry.name + "/");
    models.insert(models.end(), inner.begin(), inner.end());
  }
  return models;
}

// The commit that refs/main names, if it looks like one.
std::string MainCommit(const std::string& repository) {
  const auto text = os::ReadFile(repository + "/refs/main", 4096);
  if (!text.ok()) return {};
  const std::string commit = text->substr(0, text->find_first_of(" \r\n"));
  const bool is_hex =
      !commit.empty() && commit.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_hex ? commit : "";
}

// What of a repository counts: the commit of its main branch or, where only another revision was
// downloaded, the one commit that is there. Empty where there is none, or a choice.
std::string SnapshotOf(const std::string& repository) {
  const std::string snapshots = repository + "/snapshots";
  const std::string commit = MainCommit(repository);
  if (!commit.empty() && os::IsDirectory(snapshots + "/" + commit)) return snapshots + "/" + commit;
  const auto entries = EntriesOf(snapshots);
  return entries.size() == 1 ? snapshots + "/" + entries[0].name : std::string();
}

// hub/models--ORG--NAME/snapshots/COMMIT: safetensors are named hf.co/ORG/NAME, a FILE.gguf
// hf.co/ORG/NAME/FILE.
std::vector<ModelEntry> ListHuggingFace(const std::string& hub) {
  constexpr std::string_view kPrefix = "models--";
  std::vector<ModelEntry> models;
  for (const os::DirectoryEntry& repository : EntriesOf(hub)) {
    if (!repository.is_directory || !repository.name.starts_with(kPrefix)) continue;
    const std::string rest = repository.name.substr(kPrefix.size());
    const size_t separator = rest.find("--");
    if (separator == std::string::npos) continue;
    const std::string folder = SnapshotOf(hub + "/" + repository.name);
    if (folder.empty()) continue;
    const std::string name =
        "hf.co/" + rest.substr(0, separator) + "/" + rest.substr(separator + 2) + "/";
    const auto files = ListFolder(folder, Source::kHuggingFace, 1, name);
    models.insert(models.end(), files.begin(), files.end());
  }
  return models;
}

// What one of Ollama's manifests says of the weights.
struct OllamaWeights {
  std::string digest;       // in hex; empty where there are none that are well formed
  int64_t size_bytes = -1;  // of the blob; -1: not said
};

OllamaWeights WeightsIn(const std::string& manifest_path) {
  const auto text = os::ReadFile(manifest_path, kManifestBytesMax);
  if (!text.ok()) return {};
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(*text, error);
  const auto* object = error ? nullptr : json.if_object();
  const auto* layers = object == nullptr ? nullptr : object->if_contains("layers");
  if (layers == nullptr || !layers->is_array()) return {};
  for (const auto& layer : layers->get_array()) {
    const auto* fields = layer.if_object();
    const auto* type = fields == nullptr ? nullptr : fields->if_contains("mediaType");
    const auto* digest = fields == nullptr ? nullptr : fields->if_contains("digest");
    if (type == nullptr || digest == nullptr || !digest->is_string()) continue;
    if (*type != "application/vnd.ollama.image.model") continue;
    const std::string text_digest(digest->get_string());
    const bool well_formed =
        text_digest.size() == 71 && text_digest.starts_with("sha256:") &&
        text_digest.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
    const auto* size = fields->if_contains("size");
    const bool has_size = size != nullptr && size->is_int64();
    return {well_formed ? text_digest.substr(7) : "", has_size ? size->get_int64() : -1};
  }
  return {};
}

// What people type: without the default host, namespace and tag.
std::string OllamaName(const std::string& host, const std::string& space, const std::string& model,
                       const std::string& tag) {
  std::string name;
  if (host != "registry.ollama.ai") name += host + "/";
  if (!name.empty() || space != "library") name += space + "/";
  return name + model + ":" + tag;
}

// models/manifests/HOST/NAMESPACE/MODEL/TAG, weights in models/blobs/sha256-DIGEST.
std::vector<ModelEntry> ListOllama(const std::string& models_folder) {
  std::vector<ModelEntry> models;
  if (models_folder.empty()) return models;
  const std::string root = models_folder + "/manifests";
  for (const auto& host : EntriesOf(root)) {
    const std::string host_path = root + "/" + host.name;
    for (const auto& space : EntriesOf(host.is_directory ? host_path : "")) {
      const std::string space_path = host_path + "/" + space.name;
      for (const auto& model : EntriesOf(space.is_directory ? space_path : "")) {
        const std::string model_path = space_path + "/" + model.name;
        for (const auto& tag : EntriesOf(model.is_directory ? model_path : "")) {
          const OllamaWeights weights = WeightsIn(model_path + "/" + tag.name);
          const std::string blob = models_folder + "/blobs/sha256-" + weights.digest;
          const auto stamp = os::StampOf(blob);
          if (weights.digest.empty() || !stamp.ok()) continue;
          // A download that has not ended.
          if (weights.size_bytes >= 0 &&
              stamp->size_bytes != static_cast<uint64_t>(weights.size_bytes))
            continue;
          models.push_back({OllamaName(host.name, space.name, model.name, tag.name), blob,
                            Source::kOllama, *stamp});
        }
      }
    }
  }
  return models;
}

// How well `entry` answers to `name`: 0 is exactly, -1 not at all, more is worse.
int Distance(const ModelEntry& entry, std::string_view raw, const ModelName& name) {
  if (entry.name == raw) return 0;
  const std::string mine = Lower(entry.name);
  std::string wanted = Lower(raw);
  if (wanted.ends_with(kSuffix)) wanted.resize(wanted.size() - kSuffix.size());
  if (mine == wanted) return 1;
  if (mine == wanted + ":latest") return 2;
  if (mine == "hf.co/" + wanted) return 3;
  if (mine.ends_with("/" + wanted) && name.kind == NameKind::kPlain) return 3;
  if (name.kind != NameKind::kHuggingFace) return -1;
  const std::string repository = Lower("hf.co/" + name.organisation + "/" + name.model + "/");
  if (!mine.starts_with(repository)) return -1;
  const std::string_view file = std::string_view(mine).substr(repository.size());
  if (!name.tag.empty()) return file.find(Lower(name.tag)) == std::string_view::npos ? -1 : 4;
  int rank = 4;
  for (const std::string_view quantisation : kPreferred) {
    if (file.find(quantisation) != std::string_view::npos) return rank;
    ++rank;
  }
  return rank;
}

bool LooksLikePath(std::string_view name) {
  return name.starts_with('/') || name.starts_with("./") || name.starts_with("../") ||
         name.ends_with(kSuffix) || name.ends_with(".safetensors") || name.ends_with('/');
}

Result<ModelEntry> EntryAt(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const os::FileStamp own, os::StampOf(path));
  const auto stamp = StampOfModel(path);
  return ModelEntry{path, path, Source::kFolder, stamp.ok() ? *stamp : own};
}

}  // namespace

std::string_view NameOf(Source source) {
  switch (source) {
    case Source::kFolder:
      return "folder";
    case Source::kOwn:
      return "own";
    case Source::kShipped:
      return "shipped";
    case Source::kHuggingFace:
      return "huggingface";
    case Source::kOllama:
      return "ollama";
  }
  return "";
}

ModelStore::ModelStore(StoreOptions options)
    : options_(std::move(options)), fingerprints_(options_.fingerprint_cache) {}

std::vector<ModelEntry> ModelStore::List() const {
  std::vector<ModelEntry> all;
  const auto append = [&all](const std::vector<ModelEntry>& more) {
    for (const ModelEntry& entry : more) {
      const bool known = std::any_of(all.begin(), all.end(), [&entry](const ModelEntry& other) {
        return other.name == entry.name;
      });
      if (!known) all.push_back(entry);
    }
  };
  for (const std::string& folder : options_.folders) append(ListFolder(folder, Source::kFolder, 1));
  append(ListFolder(options_.own_folder, Source::kOwn, 3));
  for (const std::string& folder : options_.shipped_folders)
    append(ListFolder(folder, Source::kShipped, 1));
  append(ListHuggingFace(options_.hf_hub));
  append(ListOllama(options_.ollama));
  return all;
}

Result<ModelEntry> ModelStore::Resolve(std::string_view name, Paths paths) const {
  if (paths == Paths::kAllowed && LooksLikePath(name)) {
    auto entry = EntryAt(std::string(name));
    if (entry.ok() || name.find('/') != std::string_view::npos) return entry;
  }
  const std::vector<ModelEntry> all = List();
  const auto exact = std::find_if(all.begin(), all.end(),
                                  [name](const ModelEntry& entry) { return entry.name == name; });
  if (exact != all.end()) return *exact;
  // What is no name of any model may still be a folder right here.
  const std::string here(name);
  const bool is_folder = paths == Paths::kAllowed && safetensors::IsModelFolder(here);
  const auto parsed = ParseModelName(name);
  if (!parsed.ok()) return is_folder ? EntryAt(here) : parsed.error();
  const ModelEntry* best = nullptr;
  int best_distance = 0;
  for (const ModelEntry& entry : all) {
    const int distance = Distance(entry, name, *parsed);
    if (distance < 0 || (best != nullptr && distance >= best_distance)) continue;
    best = &entry;
    best_distance = distance;
  }
  if (best == nullptr && is_folder) return EntryAt(here);
  if (best == nullptr)
    return MakeError(Code::kNotFound,
                     "no model '{}' on this machine; `baton ls` lists what there is", name);
  return *best;
}

Status ModelStore::Remove(std::string_view name) const {
  BATON_ASSIGN_OR_RETURN(const ModelEntry entry, Resolve(name));
  if (entry.source != Source::kOwn)
    return MakeError(Code::kPermissionDenied,
                     "'{}' is not in our own store but at '{}': remove it where it came from", name,
                     entry.path);
  // A link inside the store must not lead out of it.
  const bool is_folder = os::IsDirectory(entry.path);
  BATON_ASSIGN_OR_RETURN(const std::string store, os::RealPath(options_.own_folder));
  BATON_ASSIGN_OR_RETURN(
      const std::string folder,
      os::RealPath(is_folder ? entry.path : entry.path.substr(0, entry.path.rfind('/'))));
  if (folder != store && !folder.starts_with(store + "/"))
    return MakeError(Code::kPermissionDenied, "'{}' lies outside the store, at '{}'", name, folder);
  BATON_ASSIGN_OR_RETURN(
      const auto files,
      FilesOfModel(is_folder ? folder : folder + entry.path.substr(entry.path.rfind('/'))));
  for (const std::string& file : files) {
    const Status removed = os::RemoveFile(file);
    if (!removed.ok() && removed.error().code() != Code::kNotFound) return removed;
  }
  return OkStatus();
}

Result<std::string> ModelStore::FingerprintOf(const ModelEntry& entry) const {
  return fingerprints_.Get(entry.path);
}

Result<ModelEntry> ModelStore::FindByFingerprint(std::string_view fingerprint) const {
  for (const ModelEntry& entry : List()) {
    const auto own = FingerprintOf(entry);
    if (own.ok() && *own == fingerprint) return entry;
  }
  return MakeError(Code::kNotFound, "no model with fingerprint {} on this machine",
                   fingerprint.substr(0, 12));
}

}  // namespace baton::hub
