// JSON in and out: request data become values, and the filter `tojson` writes them as Python's
// json.dumps does (Hugging Face's settings: no ASCII or HTML escaping).
#pragma once

#include <boost/json/value.hpp>

#include "base/result.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

// All texts in `json` become untrusted.
Value FromJson(Runtime& runtime, const boost::json::value& json);

// The messages of a chat: as above, but a `role` that the API defines is trusted, since templates
// build control tokens from it ('<|' + message.role + '|>').
Value MessagesFromJson(Runtime& runtime, const boost::json::value& messages);

struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // one level; absent: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
// An error for what JSON cannot hold (undefined, functions, generators).
Result<std::string> ToJson(Runtime& runtime, const Value& value, const JsonStyle& style);

}  // namespace baton::jinja
