// Typed access to a JSON request: each function gives the value, nothing where the field is absent
// or null, or an error that names the field and what it holds.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/result.h"

namespace baton::serve {

namespace json = boost::json;

// An error of a request's field: `param` goes into the OpenAI error object.
struct FieldError {
  std::string param;
  std::string message;
};

class Fields {
 public:
  explicit Fields(const json::object& object) : object_(object) {}

  // After the first error every access gives nothing; ask error() once at the end.
  std::optional<std::string> Text(std::string_view name);
  std::optional<bool> Flag(std::string_view name);
  std::optional<int64_t> Integer(std::string_view name, int64_t least, int64_t most);
  std::optional<double> Number(std::string_view name, double least, double most);
  const json::array* List(std::string_view name, size_t size_max);
  const json::object* Object(std::string_view name);
  const json::value* Any(std::string_view name);

  void Fail(std::string_view name, std::string message);
  // Fails on a field that nobody has asked for: a misspelt option of an API of our own.
  void RefuseOthers();
  const std::optional<FieldError>& error() const { return error_; }

 private:
  const json::object& object_;
  std::set<std::string, std::less<>> asked_;
  std::optional<FieldError> error_;
};

// `text` as JSON with bounded depth and finite numbers; the error says where it breaks, or which
// field's number no double holds.
Result<json::value> ParseJson(std::string_view text);

}  // namespace baton::serve
