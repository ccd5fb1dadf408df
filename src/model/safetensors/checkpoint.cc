#include "model/safetensors/checkpoint.h"

#include <algorithm>

#include "base/free.h"
#include "model/fingerprint.h"
#include "model/gguf/reader.h"
#include "model/safetensors/folder.h"
#include "model/safetensors/model_card.h"
#include "model/safetensors/row_reader.h"
#include "model/safetensors/tensor_map.h"
#include "model/tokenizer/chat_templates.h"
#include "model/tokenizer/tokenizer_json.h"

namespace baton::safetensors {
namespace {

// The small files of a folder; absent ones are empty.
struct Texts {
  std::string config;
  std::string generation_config;
  std::string tokenizer;
  std::string tokenizer_config;
  std::string chat_template;
  std::string tool_template;
  // Read only where there is no tokenizer.json.
  std::string tokenizer_model;
  std::string added_tokens;
  std::string special_tokens_map;

  TokenizerFiles ForTokenizer() const {
    return {.tokenizer_json = tokenizer,
            .tokenizer_config = tokenizer_config,
            .generation_config = generation_config,
            .chat_template = chat_template,
            .tool_template = tool_template,
            .tokenizer_model = tokenizer_model,
            .added_tokens = added_tokens,
            .special_tokens_map = special_tokens_map};
  }
  std::vector<const std::string*> All() const {
    std::vector<const std::string*> all = {&config, &generation_config, &tokenizer,
                                           &tokenizer_config, &chat_template};
    if (tokenizer.empty())
      all.insert(all.end(), {&tokenizer_model, &added_tokens, &special_tokens_map});
    if (!tool_template.empty()) all.push_back(&tool_template);
    return all;
  }
};

Result<std::string> ReadIfThere(const std::string& folder, std::string_view name) {
  const std::string path = fmt::format("{}/{}", folder, name);
  return os::Exists(path) ? os::ReadFile(path) : Result<std::string>(std::string());
}

// A file of its own; multimodal models of before had it in an object.
Result<std::string> ReadChatTemplate(const std::string& folder) {
  BATON_ASSIGN_OR_RETURN(std::string source, ReadIfThere(folder, kChatTemplateName));
  if (!source.empty()) return source;
  BATON_ASSIGN_OR_RETURN(const std::string older, ReadIfThere(folder, kOlderChatTemplateName));
  if (older.empty()) return source;
  auto read = ChatTemplatesIn(older);
  if (!read.ok()) return read.error().Within(kOlderChatTemplateName);
  return read->standard;
}

Result<Texts> ReadTexts(const std::string& folder) {
  Texts texts;
  BATON_ASSIGN_OR_RETURN(texts.config,
                         os::ReadFile(fmt::format("{}/{}", folder, kConfigName), kConfigBytesMax));
  BATON_ASSIGN_OR_RETURN(texts.generation_config, ReadIfThere(folder, kGenerationConfigName));
  BATON_ASSIGN_OR_RETURN(texts.tokenizer, ReadIfThere(folder, kTokenizerName));
  BATON_ASSIGN_OR_RETURN(texts.tokenizer_config, ReadIfThere(folder, kTokenizerConfigName));
  BATON_ASSIGN_OR_RETURN(texts.chat_template, ReadChatTemplate(folder));
  BATON_ASSIGN_OR_RETURN(texts.tool_template, ReadIfThere(folder, kToolTemplateName));
  if (!texts.tokenizer.empty()) return texts;
  BATON_ASSIGN_OR_RETURN(texts.tokenizer_model, ReadIfThere(folder, kTokenizerModelName));
  BATON_ASSIGN_OR_RETURN(texts.added_tokens, ReadIfThere(folder, kAddedTokensName));
  BATON_ASSIGN_OR_RETURN(texts.special_tokens_map, ReadIfThere(folder, kSpecialTokensMapName));
  return texts;
}

class FolderCheckpoint final : public Checkpoint {
 public:
  FolderCheckpoint(std::string path, Bytes metadata_bytes, gguf::Metadata metadata, Texts texts,
                   std::vector<File> files, TensorMap map)
      : Checkpoint(std::move(path), std::move(metadata), std::move(map.tensors)),
        metadata_bytes_(std::move(metadata_bytes)),
        texts_(std::move(texts)),
        files_(std::move(files)),
        places_(std::move(map.places)) {}

  std::optional<TokenizerFiles> tokenizer_files() const override { return texts_.ForTokenizer(); }

  void WillNeed(const TensorInfo& tensor, int64_t first, int64_t count) const override {
    RowReader(files_, places_[tensor.place]).WillNeed(first, count);
  }

  Result<std::string> Fingerprint() const override {
    Fingerprinter fingerprint;
    const auto add = [&](std::span<const uint8_t> bytes) {
      const uint64_t length = bytes.size();
      fingerprint.Add({reinterpret_cast<const uint8_t*>(&length), sizeof(length)});
      fingerprint.Add(bytes);
    };
    for (const std::string* text : texts_.All()) add(AsBytes(*text));
    for (const File& file : files_) add(file.header_bytes());
    for (const File& file : files_) {
      for (const StoredTensor& tensor : file.tensors())
        BATON_RETURN_IF_ERROR(
            fingerprint.AddSample(file.mapping(), tensor.offset, tensor.size_bytes));
    }
    return std::move(fingerprint).Finish();
  }

 private:
  Status Read(const TensorInfo& tensor, int64_t first, int64_t count,
              std::span<uint8_t> into) const override {
    const Status read = RowReader(files_, places_[tensor.place]).Read(first, count, into);
    return read.ok() ? read : read.error().Within(tensor.name);
  }

  void DropHeaders() override {
    Free(metadata_bytes_);
    Free(texts_);
    for (File& file : files_) file.DropHeader();
  }

  Bytes metadata_bytes_;
  Texts texts_;
  std::vector<File> files_;
  const std::vector<Place> places_;
};

Result<std::vector<File>> OpenFiles(const std::string& folder) {
  BATON_ASSIGN_OR_RETURN(const auto names, ShardNames(folder));
  std::vector<File> files;
  for (const std::string& name : names) {
    BATON_ASSIGN_OR_RETURN(File file, File::Open(fmt::format("{}/{}", folder, name)));
    files.push_back(std::move(file));
  }
  return files;
}

std::vector<TensorsOfFile> TensorsOf(const std::vector<File>& files) {
  std::vector<TensorsOfFile> tensors;
  for (const File& file : files) tensors.emplace_back(file.tensors());
  return tensors;
}

// What people call a model: its folder, or in Hugging Face's cache the repository.
std::string NameOfFolder(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  constexpr std::string_view kRepository = "models--";
  constexpr std::string_view kSnapshots = "/snapshots/";
  const size_t snapshots = folder.rfind(kSnapshots);
  if (snapshots != std::string::npos) {
    const std::string repository = folder.substr(0, snapshots);
    const size_t begin = repository.rfind('/') + 1;
    const size_t separator = repository.rfind("--");
    if (repository.compare(begin, kRepository.size(), kRepository) == 0 && separator > begin)
      return repository.substr(separator + 2);
  }
  return folder.substr(folder.rfind('/') + 1);
}

// Advice for people: where it cannot be read there is none.
std::string LicenseOf(const std::string& folder) {
  constexpr size_t kCardBytesMax = 4 << 20;
  const auto card = os::ReadFile(fmt::format("{}/{}", folder, kModelCardName), kCardBytesMax);
  return card.ok() ? LicenseIn(*card) : std::string();
}

Status CheckHead(const HubConfig& config, const TensorMap& map) {
  const auto has_head = [&] {
    return std::any_of(map.tensors.begin(), map.tensors.end(),
                       [](const TensorInfo& info) { return info.name == "output.weight"; });
  };
  if (config.tied || has_head()) return OkStatus();
  return MakeError(Code::kInvalidArgument,
                   "tensor 'lm_head.weight' is missing, and config.json does not tie it");
}

Result<std::unique_ptr<Checkpoint>> OpenFolder(const std::string& folder) {
  BATON_ASSIGN_OR_RETURN(Texts texts, ReadTexts(folder));
  BATON_ASSIGN_OR_RETURN(HubConfig config, ReadConfig(texts.config, texts.generation_config,
                                                      NameOfFolder(folder), LicenseOf(folder)));
  BATON_ASSIGN_OR_RETURN(auto header, gguf::ParseHeader(config.metadata, config.metadata.size()));
  BATON_ASSIGN_OR_RETURN(std::vector<File> files, OpenFiles(folder));
  BATON_ASSIGN_OR_RETURN(TensorMap map, MapTensors(config, TensorsOf(files)));
  BATON_RETURN_IF_ERROR(CheckHead(config, map));
  return std::unique_ptr<Checkpoint>(std::make_unique<FolderCheckpoint>(
      folder, std::move(config.metadata), std::move(header.metadata), std::move(texts),
      std::move(files), std::move(map)));
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& folder) {
  auto opened = OpenFolder(folder);
  if (!opened.ok()) return opened.error().Within(folder);
  return opened;
}

}  // namespace baton::safetensors
