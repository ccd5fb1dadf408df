// What filters share: their arguments, and their place in a table of one theme.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

using Bound = std::vector<std::optional<Value>>;
using Filter = Result<Value> (*)(Runtime& runtime, const Value& value, const Arguments& arguments);

struct FilterRow {
  std::string_view name;
  Filter filter;
};
std::span<const FilterRow> TextFilters();
std::span<const FilterRow> NumberFilters();
std::span<const FilterRow> SequenceFilters();

bool Flag(const std::optional<Value>& value, bool otherwise);
Result<int64_t> Integer(const std::optional<Value>& value, int64_t otherwise);
std::string TextOr(const std::optional<Value>& value, std::string_view otherwise);
// `value.a.b.0`: what the parameter `attribute` of many filters names.
Result<Value> Follow(Runtime& runtime, Value value, const Value& attribute);
// What a filter sorts, groups or compares by: the value or an attribute, in lower case unless
// `case_sensitive`.
Result<Value> KeyOf(Runtime& runtime, const Value& item, const std::optional<Value>& attribute,
                    bool case_sensitive);

}  // namespace baton::jinja
