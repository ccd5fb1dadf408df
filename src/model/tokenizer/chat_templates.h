// The chat templates that the files of a model hold: one, or one beside which another is for
// requests with tools.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "base/result.h"

namespace baton {

// Jinja sources; empty where there is none.
struct ChatTemplates {
  std::string standard;
  std::string with_tools;  // the one named "tool_use"

  bool empty() const { return standard.empty() && with_tools.empty(); }
  // The one for a request, whose variables may have `tools`, as Hugging Face chooses. May be empty.
  const std::string& For(const boost::json::object& variables) const;
};

// `chat_template` of a tokenizer_config.json is a text, or a list of named ones, of which
// "default" and "tool_use" count.
Result<ChatTemplates> ChatTemplatesOf(const boost::json::object& tokenizer_config);
Result<ChatTemplates> ChatTemplatesIn(std::string_view tokenizer_config);

}  // namespace baton
