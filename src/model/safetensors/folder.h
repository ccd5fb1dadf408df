// Which files of a folder make a model as Hugging Face's hub has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton::safetensors {

inline constexpr std::string_view kConfigName = "config.json";
inline constexpr std::string_view kGenerationConfigName = "generation_config.json";
inline constexpr std::string_view kTokenizerName = "tokenizer.json";
inline constexpr std::string_view kTokenizerModelName = "tokenizer.model";
inline constexpr std::string_view kAddedTokensName = "added_tokens.json";
inline constexpr std::string_view kSpecialTokensMapName = "special_tokens_map.json";
inline constexpr std::string_view kTokenizerConfigName = "tokenizer_config.json";
inline constexpr std::string_view kChatTemplateName = "chat_template.jinja";
// Of several templates all but the first lie in a folder of their own.
inline constexpr std::string_view kToolTemplateName = "additional_chat_templates/tool_use.jinja";
inline constexpr std::string_view kModelCardName = "README.md";
inline constexpr std::string_view kOlderChatTemplateName = "chat_template.json";  // of processors
inline constexpr std::string_view kWeightsName = "model.safetensors";
inline constexpr std::string_view kIndexName = "model.safetensors.index.json";
// More files than any model has; each is open as long as the model.
inline constexpr size_t kShardsMax = 512;

// Whether a folder holds config.json and weights, or the index of them.
bool IsModelFolder(const std::string& folder);

// The names of the files with weights, sorted: those that the index lists, or the one that needs
// none. Names that are not plain file names are refused.
Result<std::vector<std::string>> ShardNames(const std::string& folder);
// Paths of all files of the model: small ones that are there, and those with weights.
Result<std::vector<std::string>> FilesOf(const std::string& folder);
// As ShardNames(), from the text of an index. Pure.
Result<std::vector<std::string>> ShardNamesIn(std::string_view index);

}  // namespace baton::safetensors
