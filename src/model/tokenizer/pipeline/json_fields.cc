#include "model/tokenizer/pipeline/json_fields.h"

namespace baton::json_fields {
namespace {

Error WrongKind(std::string_view key, const boost::json::value* value, std::string_view wanted) {
  if (value == nullptr) return MakeError(Code::kInvalidArgument, "'{}' is missing", key);
  return MakeError(Code::kInvalidArgument, "'{}' is {}, not {}", key, KindOf(*value), wanted);
}

}  // namespace

std::string_view KindOf(const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::bool_:
      return "a boolean";
    case boost::json::kind::string:
      return "a string";
    case boost::json::kind::array:
      return "an array";
    case boost::json::kind::object:
      return "an object";
    default:
      return "a number";
  }
}

const boost::json::value* Find(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<bool> BoolOr(const boost::json::object& object, std::string_view key, bool otherwise) {
  const boost::json::value* value = Find(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_bool()) return WrongKind(key, value, "a boolean");
  return value->get_bool();
}

Result<std::string> StringOr(const boost::json::object& object, std::string_view key,
                             std::string_view otherwise) {
  const boost::json::value* value = Find(object, key);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) return WrongKind(key, value, "a string");
  return std::string(value->get_string());
}

Result<std::string> String(const boost::json::object& object, std::string_view key) {
  if (Find(object, key) == nullptr) return WrongKind(key, nullptr, "");
  return StringOr(object, key, "");
}

Result<int64_t> Integer(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = Find(object, key);
  if (value == nullptr || !value->is_int64()) return WrongKind(key, value, "an integer");
  return value->get_int64();
}

Result<const boost::json::array*> Array(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = Find(object, key);
  if (value == nullptr || !value->is_array()) return WrongKind(key, value, "an array");
  return &value->get_array();
}

Result<const boost::json::object*> Object(const boost::json::value& value, std::string_view what) {
  if (!value.is_object()) return WrongKind(what, &value, "an object");
  return &value.get_object();
}

}  // namespace baton::json_fields
