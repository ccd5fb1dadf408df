// Jinja's built-in filters and tests, with Hugging Face's tojson.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

// `value | name(arguments)`. An unknown name is an error that shows it.
Result<Value> ApplyFilter(Runtime& runtime, std::string_view name, const Value& value,
                          const Arguments& arguments);
bool HasFilter(std::string_view name);

// `value is name(arguments)`.
Result<bool> ApplyTest(Runtime& runtime, std::string_view name, const Value& value,
                       const Arguments& arguments);
bool HasTest(std::string_view name);

}  // namespace baton::jinja
