#include "model/tokenizer/chat_templates.h"

#include "model/tokenizer/added_token.h"
#include "model/tokenizer/pipeline/json_fields.h"
#include "model/tokenizer/pipeline/tokenizer_document.h"

namespace baton {

using boost::json::object;

const std::string& ChatTemplates::For(const object& variables) const {
  const bool tools = json_fields::Find(variables, "tools") != nullptr;
  return tools && !with_tools.empty() ? with_tools : standard;
}

Result<ChatTemplates> ChatTemplatesOf(const object& config) {
  ChatTemplates templates;
  const boost::json::value* value = json_fields::Find(config, "chat_template");
  if (value == nullptr) return templates;
  if (value->is_string()) {
    templates.standard = value->get_string();
    return templates;
  }
  if (!value->is_array())
    return MakeError(Code::kInvalidArgument, "'chat_template' is {}, not a string",
                     json_fields::KindOf(*value));
  for (const auto& entry : value->get_array()) {
    if (!entry.is_object()) continue;
    const object& named = entry.get_object();
    const std::string name = NamedToken(named.if_contains("name")).value_or("");
    if (name != "default" && name != "tool_use") continue;
    BATON_ASSIGN_OR_RETURN(std::string source, json_fields::String(named, "template"));
    (name == "default" ? templates.standard : templates.with_tools) = std::move(source);
  }
  return templates;
}

Result<ChatTemplates> ChatTemplatesIn(std::string_view tokenizer_config) {
  BATON_ASSIGN_OR_RETURN(const object config,
                         ParseBoundedObject(tokenizer_config, "tokenizer_config.json",
                                            {.left_out = kAddedTokensDecoder}));
  return ChatTemplatesOf(config);
}

}  // namespace baton
