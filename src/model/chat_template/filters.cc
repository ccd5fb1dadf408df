#include "model/chat_template/filters.h"

#include "model/chat_template/access.h"
#include "model/chat_template/filter_arguments.h"
#include "model/chat_template/python_format.h"

namespace baton::jinja {
namespace {

Result<Value> Default(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound,
                         arguments.Bind("default", {"default_value", "boolean"}));
  const bool missing = value.is_undefined() || (Flag(bound[1], false) && !IsTruthy(value));
  if (!missing) return value;
  return bound[0] ? *bound[0] : runtime.MakeText("");
}

Result<Value> Attr(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("attr", {"name"}, 1));
  // Attributes only: an item of that name does not count.
  if (auto method = FindMethod(value, Str(*bound[0]))) return *std::move(method);
  if (value.is_dict())
    return MakeUndefined(fmt::format("'dict object' has no attribute '{}'", Str(*bound[0])));
  return GetAttribute(runtime, value, Str(*bound[0]));
}

// Jinja has it, but no two runs agree on its result, or it is about links in HTML.
Result<Value> NotHere(Runtime&, const Value&, const Arguments&) {
  return MakeError(Code::kUnimplemented, "the filters random and urlize are not supported");
}

constexpr FilterRow kFilters[] = {
    {"attr", Attr}, {"d", Default}, {"default", Default}, {"random", NotHere}, {"urlize", NotHere},
};

Filter FindFilter(std::string_view name) {
  const std::span<const FilterRow> tables[] = {kFilters, TextFilters(), NumberFilters(),
                                               SequenceFilters()};
  for (const auto& table : tables) {
    for (const FilterRow& row : table) {
      if (row.name == name) return row.filter;
    }
  }
  return nullptr;
}

}  // namespace

bool HasFilter(std::string_view name) {
  return FindFilter(name) != nullptr;
}

Result<Value> ApplyFilter(Runtime& runtime, std::string_view name, const Value& value,
                          const Arguments& arguments) {
  const Filter filter = FindFilter(name);
  if (filter == nullptr) return TypeError(fmt::format("No filter named '{}' found.", name));
  BATON_RETURN_IF_ERROR(runtime.Step());
  return filter(runtime, value, arguments);
}

}  // namespace baton::jinja
