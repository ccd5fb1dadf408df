// Members of the JSON objects that tokenizer.json is made of, with errors that name them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"

namespace baton::json_fields {

// nullptr where the member is absent or null.
const boost::json::value* Find(const boost::json::object& object, std::string_view key);
Result<bool> BoolOr(const boost::json::object& object, std::string_view key, bool otherwise);
Result<std::string> StringOr(const boost::json::object& object, std::string_view key,
                             std::string_view otherwise);
Result<std::string> String(const boost::json::object& object, std::string_view key);
Result<int64_t> Integer(const boost::json::object& object, std::string_view key);
Result<const boost::json::array*> Array(const boost::json::object& object, std::string_view key);
// `value` as an object; `what` names it in the error.
Result<const boost::json::object*> Object(const boost::json::value& value, std::string_view what);
// "an object", "a string" ...
std::string_view KindOf(const boost::json::value& value);

}  // namespace baton::json_fields
