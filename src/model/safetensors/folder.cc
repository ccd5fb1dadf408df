#include "model/safetensors/folder.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "model/safetensors/json_scanner.h"
#include "os/file.h"

namespace baton::safetensors {
namespace {

constexpr size_t kIndexBytesMax = 64 << 20;
constexpr size_t kFileNameBytesMax = 128;

std::string PathOf(const std::string& folder, std::string_view name) {
  return fmt::format("{}/{}", folder, name);
}

// A file in the same folder and nothing else.
Status CheckFileName(std::string_view name) {
  const bool plain = name.size() <= kFileNameBytesMax && name.ends_with(".safetensors") &&
                     !name.starts_with('.') && std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-';
                     });
  if (plain) return OkStatus();
  return MakeError(Code::kInvalidArgument, "{} names '{}', which is no file name of weights",
                   kIndexName, log::Escape(name.substr(0, kFileNameBytesMax)));
}

}  // namespace

bool IsModelFolder(const std::string& folder) {
  return os::Exists(PathOf(folder, kConfigName)) &&
         (os::Exists(PathOf(folder, kWeightsName)) || os::Exists(PathOf(folder, kIndexName)));
}

Result<std::vector<std::string>> ShardNamesIn(std::string_view index) {
  std::set<std::string, std::less<>> names;
  JsonScanner scanner(index);
  const auto add = [&](std::string_view) -> Status {
    BATON_ASSIGN_OR_RETURN(const std::string_view name, scanner.String());
    if (names.contains(name)) return OkStatus();
    BATON_RETURN_IF_ERROR(CheckFileName(name));
    if (names.size() == kShardsMax)
      return MakeError(Code::kInvalidArgument, "{} names more than {} files", kIndexName,
                       kShardsMax);
    names.emplace(name);
    return OkStatus();
  };
  BATON_RETURN_IF_ERROR(scanner.Object([&](std::string_view key) -> Status {
    return key == "weight_map" ? scanner.Object(add) : scanner.Skip();
  }));
  BATON_RETURN_IF_ERROR(scanner.End());
  if (names.empty()) return MakeError(Code::kInvalidArgument, "{} names no file", kIndexName);
  return std::vector<std::string>(names.begin(), names.end());
}

Result<std::vector<std::string>> FilesOf(const std::string& folder) {
  BATON_ASSIGN_OR_RETURN(const auto shards, ShardNames(folder));
  std::vector<std::string> files;
  for (const std::string_view name :
       {kConfigName, kGenerationConfigName, kTokenizerName, kTokenizerModelName, kAddedTokensName,
        kSpecialTokensMapName, kTokenizerConfigName, kChatTemplateName, kToolTemplateName,
        kOlderChatTemplateName, kIndexName}) {
    if (os::Exists(PathOf(folder, name))) files.push_back(PathOf(folder, name));
  }
  for (const std::string& shard : shards) files.push_back(PathOf(folder, shard));
  return files;
}

Result<std::vector<std::string>> ShardNames(const std::string& folder) {
  if (os::Exists(PathOf(folder, kWeightsName)))
    return std::vector<std::string>{std::string(kWeightsName)};
  BATON_ASSIGN_OR_RETURN(const std::string index,
                         os::ReadFile(PathOf(folder, kIndexName), kIndexBytesMax));
  auto names = ShardNamesIn(index);
  if (!names.ok()) return names.error().Within(folder);
  return names;
}

}  // namespace baton::safetensors
