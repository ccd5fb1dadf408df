// Filters over sequences and mappings.
#include <algorithm>

#include "model/chat_template/access.h"
#include "model/chat_template/filter_arguments.h"
#include "model/chat_template/filters.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/python_format.h"
#include "model/chat_template/text_methods.h"

namespace baton::jinja {
namespace {

struct Keyed {
  Value key;
  Value value;
};

Result<std::vector<Keyed>> WithKeys(Runtime& runtime, const Value& value,
                                    const std::optional<Value>& attribute, bool case_sensitive) {
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    BATON_ASSIGN_OR_RETURN(Value key, KeyOf(runtime, item, attribute, case_sensitive));
    keyed.push_back({std::move(key), item});
  }
  return keyed;
}

// By several attributes, with commas between them, in turn.
Result<std::vector<Keyed>> WithListsOfKeys(Runtime& runtime, const Value& value,
                                           std::string_view attributes, bool case_sensitive) {
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    std::vector<Value> keys;
    for (std::string_view rest = attributes;;) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const Value attribute = runtime.MakeText(std::string(rest.substr(0, comma)));
      BATON_ASSIGN_OR_RETURN(Value key, KeyOf(runtime, item, attribute, case_sensitive));
      keys.push_back(std::move(key));
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
    keyed.push_back({runtime.MakeList(std::move(keys)), item});
  }
  return keyed;
}

// Stable merge sort, which, unlike std::stable_sort, survives keys that cannot be compared.
// `before(a, b)` says whether key a comes before key b.
template <typename Before>
Result<std::vector<Keyed>> SortedBy(Runtime& runtime, std::vector<Keyed> items, bool reverse,
                                    Before before) {
  for (size_t width = 1; width < items.size(); width *= 2) {
    std::vector<Keyed> merged;
    merged.reserve(items.size());
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      const size_t end = std::min(begin + 2 * width, items.size());
      size_t left = begin;
      size_t right = middle;
      while (left < middle && right < end) {
        BATON_RETURN_IF_ERROR(runtime.Step());
        BATON_ASSIGN_OR_RETURN(const bool swap, reverse
                                                    ? before(items[left].key, items[right].key)
                                                    : before(items[right].key, items[left].key));
        merged.push_back(items[swap ? right++ : left++]);
      }
      while (left < middle) merged.push_back(items[left++]);
      while (right < end) merged.push_back(items[right++]);
    }
    items = std::move(merged);
  }
  return items;
}

Result<std::vector<Keyed>> Sorted(Runtime& runtime, std::vector<Keyed> items, bool reverse) {
  return SortedBy(runtime, std::move(items), reverse, Less);
}

// The filter `sort` compares lists of keys, so equal keys need no order: [none, none] sorts.
Result<bool> LessUnlessEqual(const Value& a, const Value& b) {
  return Equal(a, b) ? Result<bool>(false) : Less(a, b);
}

std::vector<Value> ValuesOf(const std::vector<Keyed>& keyed) {
  std::vector<Value> values;
  for (const Keyed& item : keyed) values.push_back(item.value);
  return values;
}

Result<Value> LengthFilter(Runtime&, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("length", {}));
  BATON_ASSIGN_OR_RETURN(const int64_t length, Length(value));
  return Value(length);
}

Result<Value> ListFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("list", {}));
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(runtime, value));
  return runtime.MakeList(std::move(items));
}

Result<Value> First(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("first", {}));
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  return items.empty() ? MakeUndefined("No first item, sequence was empty.") : items.front();
}

Result<Value> Last(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("last", {}));
  if (value.is_list() && value.list().kind == ListKind::kGenerator)
    return TypeError("'generator' object is not reversible");
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  return items.empty() ? MakeUndefined("No last item, sequence was empty.") : items.back();
}

Result<Value> JoinFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("join", {"d", "attribute"}));
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  const Value separator = bound[0] ? ToText(runtime, *bound[0]) : runtime.MakeText("");
  TextBuilder builder;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (bound[1] && !bound[1]->is_none()) {
      BATON_ASSIGN_OR_RETURN(item, Follow(runtime, item, *bound[1]));
    }
    BATON_RETURN_IF_ERROR(runtime.StepBytes(WeightOf(item) + separator.bytes().size()));
    if (i > 0) builder.Append(separator.text());
    AppendStr(builder, item);
    BATON_RETURN_IF_ERROR(runtime.heap.Reserve(builder.size()));
  }
  return runtime.MakeText(std::move(builder));
}

Result<Value> Reverse(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("reverse", {}));
  if (value.is_text())
    return GetSlice(runtime, value, Value(None{}), Value(None{}), Value(int64_t{-1}));
  BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(runtime, value));
  std::reverse(items.begin(), items.end());
  return runtime.MakeList(std::move(items), ListKind::kGenerator);
}

Result<Value> Sort(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound,
                         arguments.Bind("sort", {"reverse", "case_sensitive", "attribute"}));
  const bool reverse = Flag(bound[0], false);
  const bool several =
      bound[2] && bound[2]->is_text() && bound[2]->bytes().find(',') != std::string::npos;
  const bool case_sensitive = Flag(bound[1], false);
  BATON_ASSIGN_OR_RETURN(std::vector<Keyed> keyed,
                         several
                             ? WithListsOfKeys(runtime, value, bound[2]->bytes(), case_sensitive)
                             : WithKeys(runtime, value, bound[2], case_sensitive));
  BATON_ASSIGN_OR_RETURN(keyed, SortedBy(runtime, std::move(keyed), reverse, LessUnlessEqual));
  return runtime.MakeList(ValuesOf(keyed));
}

Result<Value> Unique(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound,
                         arguments.Bind("unique", {"case_sensitive", "attribute"}));
  BATON_ASSIGN_OR_RETURN(const std::vector<Keyed> keyed,
                         WithKeys(runtime, value, bound[1], Flag(bound[0], false)));
  Dict seen(&runtime.heap);
  std::vector<Value> items;
  for (const Keyed& item : keyed) {
    const bool hashable =
        !item.key.is_dict() && (!item.key.is_list() || item.key.list().kind == ListKind::kTuple);
    if (!hashable) return TypeError(fmt::format("unhashable type: '{}'", TypeName(item.key)));
    BATON_RETURN_IF_ERROR(runtime.StepOver(item.key));
    if (seen.Find(item.key) != nullptr) continue;
    seen.Set(item.key, Value(None{}));
    items.push_back(item.value);
  }
  return runtime.MakeList(std::move(items), ListKind::kGenerator);
}

Result<Value> Extreme(Runtime& runtime, const Value& value, const Arguments& arguments, bool max) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("min", {"case_sensitive", "attribute"}));
  BATON_ASSIGN_OR_RETURN(const std::vector<Keyed> keyed,
                         WithKeys(runtime, value, bound[1], Flag(bound[0], false)));
  if (keyed.empty()) return MakeUndefined("No aggregated item, sequence was empty.");
  size_t best = 0;
  for (size_t i = 1; i < keyed.size(); ++i) {
    BATON_ASSIGN_OR_RETURN(const bool better, max ? Less(keyed[best].key, keyed[i].key)
                                                  : Less(keyed[i].key, keyed[best].key));
    if (better) best = i;
  }
  return keyed[best].value;
}
Result<Value> Min(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return Extreme(runtime, value, arguments, false);
}
Result<Value> Max(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return Extreme(runtime, value, arguments, true);
}

Result<Value> GroupBy(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound,
                         arguments.Bind("groupby", {"attribute", "default", "case_sensitive"}, 1));
  const bool case_sensitive = Flag(bound[2], false);
  BATON_ASSIGN_OR_RETURN(std::vector<Keyed> keyed,
                         WithKeys(runtime, value, bound[0], case_sensitive));
  for (Keyed& item : keyed) {
    if (item.key.is_undefined() && bound[1]) item.key = *bound[1];
  }
  BATON_ASSIGN_OR_RETURN(keyed, Sorted(runtime, std::move(keyed), false));
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    size_t end = i;
    std::vector<Value> members;
    for (; end < keyed.size() && Equal(keyed[end].key, keyed[i].key); ++end)
      members.push_back(keyed[end].value);
    BATON_ASSIGN_OR_RETURN(Value shown, KeyOf(runtime, keyed[i].value, bound[0], true));
    if (shown.is_undefined()) shown = keyed[i].key;
    groups.push_back(runtime.MakeGroup(std::move(shown), std::move(members)));
    i = end;
  }
  return runtime.MakeList(std::move(groups));
}

Result<Value> DictSort(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound,
                         arguments.Bind("dictsort", {"case_sensitive", "by", "reverse"}));
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (!value.is_dict())
    return TypeError(fmt::format("'{} object' has no attribute 'items'", TypeName(value)));
  const std::string by = TextOr(bound[1], "key");
  if (by != "key" && by != "value")
    return TypeError("You can only sort by either 'key' or 'value'");
  std::vector<Keyed> keyed;
  for (const auto& [key, item] : value.dict().entries()) {
    BATON_ASSIGN_OR_RETURN(Value sort_key, KeyOf(runtime, by == "key" ? key : item, std::nullopt,
                                                 Flag(bound[0], false)));
    keyed.push_back({std::move(sort_key), runtime.MakeList({key, item}, ListKind::kTuple)});
  }
  const bool reverse = Flag(bound[2], false);
  BATON_ASSIGN_OR_RETURN(keyed, Sorted(runtime, std::move(keyed), reverse));
  return runtime.MakeList(ValuesOf(keyed));
}

Result<Value> Items(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("items", {}));
  if (value.is_undefined()) return runtime.MakeList({}, ListKind::kGenerator);
  if (!value.is_dict()) return TypeError("Can only get item pairs from a mapping.");
  std::vector<Value> items;
  for (const auto& [key, item] : value.dict().entries()) {
    BATON_RETURN_IF_ERROR(runtime.Step());
    items.push_back(runtime.MakeList({key, item}, ListKind::kTuple));
  }
  return runtime.MakeList(std::move(items), ListKind::kGenerator);
}

Result<Value> Batch(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("batch", {"linecount", "fill_with"}, 1));
  BATON_ASSIGN_OR_RETURN(const int64_t count, Integer(bound[0], 1));
  if (count < 1 || count > 100'000) return TypeError(fmt::format("a batch of {} items", count));
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  std::vector<Value> rows;
  std::vector<Value> row;
  for (const Value& item : items) {
    if (static_cast<int64_t>(row.size()) == count)
      rows.push_back(runtime.MakeList(std::exchange(row, {})));
    row.push_back(item);
  }
  const bool fill = bound[1] && !bound[1]->is_none();
  while (!row.empty() && fill && static_cast<int64_t>(row.size()) < count) row.push_back(*bound[1]);
  if (!row.empty()) rows.push_back(runtime.MakeList(std::move(row)));
  return runtime.MakeList(std::move(rows), ListKind::kGenerator);
}

Result<Value> SliceFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("slice", {"slices", "fill_with"}, 1));
  BATON_ASSIGN_OR_RETURN(const int64_t slices, Integer(bound[0], 1));
  if (slices < 1 || slices > 100'000) return TypeError(fmt::format("{} slices", slices));
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  BATON_RETURN_IF_ERROR(runtime.Step(static_cast<uint64_t>(slices)));
  const auto length = static_cast<int64_t>(items.size());
  const int64_t each = length / slices;
  const int64_t longer = length % slices;
  std::vector<Value> columns;
  int64_t begin = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t end = begin + each + (i < longer ? 1 : 0);
    std::vector<Value> column(items.begin() + begin, items.begin() + end);
    if (bound[1] && !bound[1]->is_none() && i >= longer) column.push_back(*bound[1]);
    columns.push_back(runtime.MakeList(std::move(column)));
    begin = end;
  }
  return runtime.MakeList(std::move(columns), ListKind::kGenerator);
}

// The arguments behind the first `count`.
Arguments Rest(const Arguments& arguments, size_t count) {
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<ptrdiff_t>(count));
  return rest;
}

Result<Value> MapAttribute(Runtime& runtime, const std::vector<Value>& items,
                           const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("map", {"attribute", "default"}, 1));
  std::vector<Value> mapped;
  for (const Value& item : items) {
    BATON_RETURN_IF_ERROR(runtime.Step());
    BATON_ASSIGN_OR_RETURN(Value found, Follow(runtime, item, *bound[0]));
    if (found.is_undefined() && bound[1]) found = *bound[1];
    mapped.push_back(std::move(found));
  }
  return runtime.MakeList(std::move(mapped), ListKind::kGenerator);
}

Result<Value> Map(Runtime& runtime, const Value& value, const Arguments& arguments) {
  if (!IsTruthy(value)) return runtime.MakeList({}, ListKind::kGenerator);  // even for none
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  if (arguments.positional.empty() && arguments.FindNamed("attribute") != nullptr)
    return MapAttribute(runtime, items, arguments);
  if (arguments.positional.empty()) return TypeError("map requires a filter argument");
  if (!arguments.positional[0].is_text()) return TypeError("map requires the name of a filter");
  const std::string& name = arguments.positional[0].bytes();
  const Arguments rest = Rest(arguments, 1);
  std::vector<Value> mapped;
  for (const Value& item : items) {
    BATON_ASSIGN_OR_RETURN(Value result, ApplyFilter(runtime, name, item, rest));
    mapped.push_back(std::move(result));
  }
  return runtime.MakeList(std::move(mapped), ListKind::kGenerator);
}

// select and reject (by the value), selectattr and rejectattr (by an attribute of it).
Result<Value> Choose(Runtime& runtime, const Value& value, const Arguments& arguments,
                     bool by_attribute, bool wanted) {
  if (!IsTruthy(value)) return runtime.MakeList({}, ListKind::kGenerator);  // even for none
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  const size_t skip = by_attribute ? 1 : 0;
  if (arguments.positional.size() < skip) return TypeError("Missing parameter for attribute name");
  const bool has_test = arguments.positional.size() > skip;
  const std::string test = has_test ? Str(arguments.positional[skip]) : "";
  const Arguments rest = Rest(arguments, skip + (has_test ? 1 : 0));
  std::vector<Value> chosen;
  for (const Value& item : items) {
    BATON_RETURN_IF_ERROR(runtime.Step());
    Value subject = item;
    if (by_attribute) {
      BATON_ASSIGN_OR_RETURN(subject, Follow(runtime, item, arguments.positional[0]));
    }
    bool passes = IsTruthy(subject);
    if (has_test) {
      BATON_ASSIGN_OR_RETURN(passes, ApplyTest(runtime, test, subject, rest));
    }
    if (passes == wanted) chosen.push_back(item);
  }
  return runtime.MakeList(std::move(chosen), ListKind::kGenerator);
}
Result<Value> Select(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return Choose(runtime, value, arguments, false, true);
}
Result<Value> Reject(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return Choose(runtime, value, arguments, false, false);
}
Result<Value> SelectAttr(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return Choose(runtime, value, arguments, true, true);
}
Result<Value> RejectAttr(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return Choose(runtime, value, arguments, true, false);
}

constexpr FilterRow kFilters[] = {
    {"batch", Batch},
    {"count", LengthFilter},
    {"dictsort", DictSort},
    {"first", First},
    {"groupby", GroupBy},
    {"items", Items},
    {"join", JoinFilter},
    {"last", Last},
    {"length", LengthFilter},
    {"list", ListFilter},
    {"map", Map},
    {"max", Max},
    {"min", Min},
    {"reject", Reject},
    {"rejectattr", RejectAttr},
    {"reverse", Reverse},
    {"select", Select},
    {"selectattr", SelectAttr},
    {"slice", SliceFilter},
    {"sort", Sort},
    {"unique", Unique},
};

}  // namespace

std::span<const FilterRow> SequenceFilters() {
  return kFilters;
}

}  // namespace baton::jinja
