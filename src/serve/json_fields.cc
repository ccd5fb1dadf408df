#include "serve/json_fields.h"

#include <cmath>

namespace baton::serve {
namespace {

constexpr size_t kDepthMax = 64;

// How a value looks in an error message, shortened.
std::string Show(const json::value& value) {
  constexpr size_t kShown = 40;
  std::string text = json::serialize(value);
  if (text.size() <= kShown) return text;
  size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;  // whole characters
  return text.substr(0, end) + "...";
}

// The field that holds a number beyond the range of a double, which Boost.JSON reads as infinity
// and then writes as a number that it does not read: nothing where there is none. Depth is bounded
// by the parser.
std::optional<std::string> FieldOfInfinity(const json::value& value, std::string_view field) {
  if (const double* number = value.if_double())
    return std::isfinite(*number) ? std::nullopt : std::optional(std::string(field));
  if (const json::array* list = value.if_array())
    for (const json::value& item : *list)
      if (auto found = FieldOfInfinity(item, field)) return found;
  if (const json::object* object = value.if_object())
    for (const auto& [key, item] : *object)
      if (auto found = FieldOfInfinity(item, {key.data(), key.size()})) return found;
  return std::nullopt;
}

}  // namespace

const json::value* Fields::Any(std::string_view name) {
  if (error_) return nullptr;
  asked_.emplace(name);
  const json::value* value = object_.if_contains({name.data(), name.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

void Fields::Fail(std::string_view name, std::string message) {
  if (!error_) error_ = FieldError{std::string(name), std::move(message)};
}

void Fields::RefuseOthers() {
  for (const auto& entry : object_) {
    const std::string_view name(entry.key().data(), entry.key().size());
    if (asked_.count(name) > 0) continue;
    std::string known;
    for (const std::string& asked : asked_) known += (known.empty() ? "" : ", ") + asked;
    return Fail(name, fmt::format("'{}' is not a field of this request; it has: {}",
                                  name.substr(0, 40), known));
  }
}

std::optional<std::string> Fields::Text(std::string_view name) {
  const json::value* value = Any(name);
  if (value == nullptr) return std::nullopt;
  if (const json::string* text = value->if_string()) return std::string(*text);
  Fail(name, fmt::format("'{}' must be a string, not {}", name, Show(*value)));
  return std::nullopt;
}

std::optional<bool> Fields::Flag(std::string_view name) {
  const json::value* value = Any(name);
  if (value == nullptr) return std::nullopt;
  if (const bool* flag = value->if_bool()) return *flag;
  Fail(name, fmt::format("'{}' must be true or false, not {}", name, Show(*value)));
  return std::nullopt;
}

std::optional<int64_t> Fields::Integer(std::string_view name, int64_t least, int64_t most) {
  const auto number = Number(name, static_cast<double>(least), static_cast<double>(most));
  if (!number) return std::nullopt;
  if (*number != std::floor(*number)) {
    Fail(name, fmt::format("'{}' must be a whole number, not {}", name, *number));
    return std::nullopt;
  }
  const json::value* value = Any(name);
  if (const int64_t* exact = value->if_int64()) return *exact;
  return static_cast<int64_t>(*number);
}

std::optional<double> Fields::Number(std::string_view name, double least, double most) {
  const json::value* value = Any(name);
  if (value == nullptr) return std::nullopt;
  double number;
  if (const int64_t* integer = value->if_int64()) {
    number = static_cast<double>(*integer);
  } else if (const double* real = value->if_double(); real != nullptr && std::isfinite(*real)) {
    number = *real;
  } else {
    Fail(name, fmt::format("'{}' must be a number between {} and {}, not {}", name, least, most,
                           Show(*value)));
    return std::nullopt;
  }
  if (number < least || number > most) {
    Fail(name,
         fmt::format("'{}' must be between {} and {}, not {}", name, least, most, Show(*value)));
    return std::nullopt;
  }
  return number;
}

const json::array* Fields::List(std::string_view name, size_t size_max) {
  const json::value* value = Any(name);
  if (value == nullptr) return nullptr;
  const json::array* list = value->if_array();
  if (list == nullptr)
    Fail(name, fmt::format("'{}' must be a list, not {}", name, Show(*value)));
  else if (list->size() > size_max)
    Fail(name,
         fmt::format("'{}' has {} items, at most {} are allowed", name, list->size(), size_max));
  return error_ ? nullptr : list;
}

const json::object* Fields::Object(std::string_view name) {
  const json::value* value = Any(name);
  if (value == nullptr) return nullptr;
  const json::object* object = value->if_object();
  if (object == nullptr)
    Fail(name, fmt::format("'{}' must be an object, not {}", name, Show(*value)));
  return object;
}

Result<json::value> ParseJson(std::string_view text) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  boost::system::error_code failed;
  json::stream_parser parser({}, options);
  const size_t read = parser.write_some({text.data(), text.size()}, failed);
  if (!failed && read < text.size() &&
      text.find_first_not_of(" \t\r\n", read) != std::string_view::npos)
    return MakeError(Code::kInvalidArgument, "the body is not JSON: more follows at byte {}", read);
  if (!failed) parser.finish(failed);
  if (failed)
    return MakeError(Code::kInvalidArgument, "the body is not JSON: {} near byte {}",
                     failed.message(), read);
  json::value value = parser.release();
  if (const auto field = FieldOfInfinity(value, ""))
    return MakeError(Code::kInvalidArgument, "the number of '{}' is beyond the range of a double",
                     field->substr(0, 40));
  return value;
}

}  // namespace baton::serve
