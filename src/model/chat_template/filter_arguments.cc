#include "model/chat_template/filter_arguments.h"

#include <algorithm>

#include "model/chat_template/access.h"
#include "model/chat_template/python_format.h"
#include "model/chat_template/text_methods.h"

namespace baton::jinja {

bool Flag(const std::optional<Value>& value, bool otherwise) {
  return value ? IsTruthy(*value) : otherwise;
}

Result<int64_t> Integer(const std::optional<Value>& value, int64_t otherwise) {
  if (!value || value->is_none()) return otherwise;
  BATON_RETURN_IF_ERROR(CheckDefined(*value));
  if (!value->is_integer())
    return TypeError(fmt::format("an integer is required, not '{}'", TypeName(*value)));
  return value->integer();
}

std::string TextOr(const std::optional<Value>& value, std::string_view otherwise) {
  return value ? Str(*value) : std::string(otherwise);
}

Result<Value> Follow(Runtime& runtime, Value value, const Value& attribute) {
  if (!attribute.is_text()) return GetItem(runtime, value, attribute);
  std::string_view path = attribute.bytes();
  while (true) {
    const size_t dot = std::min(path.find('.'), path.size());
    const std::string part(path.substr(0, dot));
    const bool digits =
        !part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    const Value key = digits ? Value(int64_t{std::stoll(part)}) : runtime.MakeText(part);
    BATON_ASSIGN_OR_RETURN(value, GetItem(runtime, value, key));
    if (dot == path.size()) return value;
    path.remove_prefix(dot + 1);
  }
}

Result<Value> KeyOf(Runtime& runtime, const Value& item, const std::optional<Value>& attribute,
                    bool case_sensitive) {
  BATON_RETURN_IF_ERROR(runtime.Step());
  Value key = item;
  if (attribute && !attribute->is_none()) {
    BATON_ASSIGN_OR_RETURN(key, Follow(runtime, item, *attribute));
  }
  if (case_sensitive || !key.is_text()) return key;
  return runtime.MakeText(ToLower(key.bytes()));
}

}  // namespace baton::jinja
