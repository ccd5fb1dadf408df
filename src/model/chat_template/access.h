// Attributes, items, slices and methods of values, as Jinja's immutable sandbox gives them: methods
// of strings, lists and dictionaries that change nothing, and no way into anything else.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

// `value.name`: a method, else an item of that name, else undefined. An error only for attributes
// of undefined values.
Result<Value> GetAttribute(Runtime& runtime, const Value& value, std::string_view name);
// `value[key]`: an item, else an attribute, else undefined.
Result<Value> GetItem(Runtime& runtime, const Value& value, const Value& key);
// `value[start:stop:step]`; absent bounds are none.
Result<Value> GetSlice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                       const Value& step);
// `callee(arguments)`.
Result<Value> Call(Runtime& runtime, const Value& callee, const Arguments& arguments);

// A method of `receiver`, or nothing.
std::optional<Value> FindMethod(const Value& receiver, std::string_view name);

}  // namespace baton::jinja
