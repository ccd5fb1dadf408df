#include "model/chat_template/access.h"

#include <algorithm>
#include <limits>

#include "model/chat_template/python_format.h"
#include "model/chat_template/text_methods.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

// --- methods of dictionaries and lists ------------------------------------------------------

Result<Value> DictGet(Runtime&, const Value& self, const Arguments& arguments) {
  if (!arguments.named.empty()) return TypeError("dict.get() takes no keyword arguments");
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("get", {"key", "default"}, 1));
  if (bound[0]->is_list() && bound[0]->list().kind != ListKind::kTuple)
    return TypeError(fmt::format("unhashable type: '{}'", TypeName(*bound[0])));
  if (bound[0]->is_dict()) return TypeError("unhashable type: 'dict'");
  const Value* found = self.dict().Find(*bound[0]);
  if (found != nullptr) return *found;
  return bound[1] ? *bound[1] : Value(None{});
}

Result<Value> DictItems(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("items", {}));
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries())
    items.push_back(runtime.MakeList({key, value}, ListKind::kTuple));
  BATON_RETURN_IF_ERROR(runtime.Step(items.size()));
  return runtime.MakeList(std::move(items), ListKind::kItems);
}

Result<Value> DictKeys(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("keys", {}));
  std::vector<Value> keys;
  for (const auto& [key, value] : self.dict().entries()) keys.push_back(key);
  BATON_RETURN_IF_ERROR(runtime.Step(keys.size()));
  return runtime.MakeList(std::move(keys), ListKind::kKeys);
}

Result<Value> DictValues(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("values", {}));
  std::vector<Value> values;
  for (const auto& [key, value] : self.dict().entries()) values.push_back(value);
  BATON_RETURN_IF_ERROR(runtime.Step(values.size()));
  return runtime.MakeList(std::move(values), ListKind::kValues);
}

Result<Value> CopySelf(Runtime&, const Value& self, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("copy", {}));
  return self;  // nothing can change it
}

Result<Value> ListIndex(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("index", {"value"}, 1));
  const auto& items = self.list().items;
  BATON_RETURN_IF_ERROR(runtime.StepOver(self));
  for (size_t i = 0; i < items.size(); ++i) {
    if (Equal(items[i], *bound[0])) return Value(static_cast<int64_t>(i));
  }
  return TypeError(fmt::format("{} is not in list", Repr(*bound[0])));
}

Result<Value> ListCount(Runtime& runtime, const Value& self, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("count", {"value"}, 1));
  const auto& items = self.list().items;
  BATON_RETURN_IF_ERROR(runtime.StepOver(self));
  return Value(static_cast<int64_t>(std::count_if(
      items.begin(), items.end(), [&](const Value& v) { return Equal(v, *bound[0]); })));
}

struct Row {
  std::string_view name;
  Method method;
};
constexpr Row kDictMethods[] = {{"get", DictGet},
                                {"items", DictItems},
                                {"keys", DictKeys},
                                {"values", DictValues},
                                {"copy", CopySelf}};
constexpr Row kListMethods[] = {{"index", ListIndex}, {"count", ListCount}, {"copy", CopySelf}};
// What Python has and the immutable sandbox refuses.
constexpr std::string_view kDictChanges[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view kListChanges[] = {"append", "clear",  "extend",  "insert",
                                             "pop",    "remove", "reverse", "sort"};

template <size_t n>
Method FindRow(const Row (&rows)[n], std::string_view name) {
  for (const Row& row : rows) {
    if (row.name == name) return row.method;
  }
  return nullptr;
}

Method FindMethodOf(const Value& receiver, std::string_view name) {
  if (receiver.is_text()) return FindTextMethod(name);
  if (receiver.is_dict()) return FindRow(kDictMethods, name);
  if (!receiver.is_list()) return nullptr;
  const ListKind kind = receiver.list().kind;
  if (kind == ListKind::kList) return FindRow(kListMethods, name);
  const bool indexed = kind == ListKind::kTuple || kind == ListKind::kRange;
  return indexed && name != "copy" ? FindRow(kListMethods, name) : nullptr;
}

bool IsRefused(const Value& value, std::string_view name) {
  const auto contains = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (value.is_dict()) return contains(kDictChanges);
  return value.is_list() && value.list().kind == ListKind::kList && contains(kListChanges);
}

// What jinja2 calls a value in its errors.
std::string ObjectName(const Value& value) {
  return value.is_none() ? "None" : fmt::format("{} object", TypeName(value));
}

Value UndefinedAttribute(const Value& value, std::string_view name) {
  return MakeUndefined(fmt::format("'{}' has no attribute '{}'", ObjectName(value), name));
}

// --- loop -----------------------------------------------------------------------------------

Value LoopCycle(LoopPtr loop) {
  const int nesting = loop->nesting;
  return MakeFunction(
      "cycle",
      [loop = std::move(loop)](Runtime&, const Arguments& arguments) -> Result<Value> {
        const auto& values = arguments.positional;
        if (values.empty()) return TypeError("no items for cycling given");
        return values[loop->index0 % values.size()];
      },
      nesting);
}

Value LoopChanged(LoopPtr loop) {
  const int nesting = loop->nesting;
  return MakeFunction(
      "changed",
      [loop = std::move(loop)](Runtime&, const Arguments& arguments) -> Result<Value> {
        const auto& now = arguments.positional;
        const bool same = loop->has_changed_before &&
                          std::equal(now.begin(), now.end(), loop->last_changed.begin(),
                                     loop->last_changed.end(), Equal);
        loop->has_changed_before = true;
        loop->last_changed = now;
        return Value(!same);
      },
      nesting);
}

Value LoopNeighbour(const LoopState& loop, bool next) {
  if (next && loop.index0 + 1 < loop.items.size()) return loop.items[loop.index0 + 1];
  if (!next && loop.index0 > 0) return loop.items[loop.index0 - 1];
  return MakeUndefined(next ? "there is no next item" : "there is no previous item");
}

Value GetLoopAttribute(const LoopPtr& loop, std::string_view name) {
  const auto index = static_cast<int64_t>(loop->index0);
  const auto length = static_cast<int64_t>(loop->items.size());
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(length - index);
  if (name == "revindex0") return Value(length - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == length);
  if (name == "length") return Value(length);
  if (name == "depth") return Value(loop->depth0 + 1);
  if (name == "depth0") return Value(loop->depth0);
  if (name == "previtem") return LoopNeighbour(*loop, false);
  if (name == "nextitem") return LoopNeighbour(*loop, true);
  if (name == "cycle") return LoopCycle(loop);
  if (name == "changed") return LoopChanged(loop);
  return MakeUndefined(fmt::format("'loop' has no attribute '{}'", name));
}

// --- items and slices -----------------------------------------------------------------------

// The item, or nothing if there is none.
std::optional<Value> FindItem(Runtime& runtime, const Value& value, const Value& key) {
  if (value.is_dict()) {
    if (key.is_dict() || (key.is_list() && key.list().kind != ListKind::kTuple))
      return std::nullopt;
    const Value* found = value.dict().Find(key);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  if (!key.is_integer()) return std::nullopt;
  int64_t index = key.integer();
  if (value.is_list()) {
    const List& list = value.list();
    const bool indexed = list.kind == ListKind::kList || list.kind == ListKind::kTuple ||
                         list.kind == ListKind::kRange;
    const auto length = static_cast<int64_t>(list.items.size());
    if (index < 0) index += length;
    if (!indexed || index < 0 || index >= length) return std::nullopt;
    return std::optional<Value>(list.items[static_cast<size_t>(index)]);
  }
  if (!value.is_text()) return std::nullopt;
  const std::string& bytes = value.bytes();
  if (index < 0) index += static_cast<int64_t>(CountUtf8(bytes));
  if (index < 0) return std::nullopt;
  size_t at = 0;
  for (int64_t i = 0; i < index && at < bytes.size(); ++i) at += Utf8At(bytes, at).length;
  if (at >= bytes.size()) return std::nullopt;
  return Slice(runtime, value.text(), at, at + Utf8At(bytes, at).length);
}

struct SliceRange {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};

Result<int64_t> Bound1(const Value& value, int64_t otherwise, int64_t length, int64_t low,
                       int64_t high) {
  if (value.is_none()) return otherwise;
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (!value.is_integer())
    return TypeError("slice indices must be integers or None or have an __index__ method");
  int64_t index = value.integer();
  if (index < 0) index = index < -length ? low : index + length;
  return std::clamp(index, low, high);
}

// Python's slice.indices().
Result<SliceRange> ResolveSlice(const Value& start, const Value& stop, const Value& step,
                                int64_t length) {
  SliceRange range;
  if (!step.is_none()) {
    BATON_RETURN_IF_ERROR(CheckDefined(step));
    if (!step.is_integer()) return TypeError("slice indices must be integers or None");
    range.step = std::clamp<int64_t>(step.integer(), -(int64_t{1} << 60), int64_t{1} << 60);
    if (range.step == 0) return TypeError("slice step cannot be zero");
  }
  const bool forward = range.step > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? length : length - 1;
  BATON_ASSIGN_OR_RETURN(range.start, Bound1(start, forward ? 0 : high, length, low, high));
  BATON_ASSIGN_OR_RETURN(const int64_t end,
                         Bound1(stop, forward ? length : low, length, low, high));
  const int64_t distance = forward ? end - range.start : range.start - end;
  const int64_t stride = forward ? range.step : -range.step;
  range.count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  return range;
}

Result<Value> SliceText(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                        const Value& step) {
  const std::string& bytes = value.bytes();
  BATON_RETURN_IF_ERROR(runtime.StepBytes(bytes.size() * 4));
  std::vector<size_t> offsets;  // where each character begins
  for (size_t at = 0; at < bytes.size(); at += Utf8At(bytes, at).length) offsets.push_back(at);
  const auto length = static_cast<int64_t>(offsets.size());
  offsets.push_back(bytes.size());
  BATON_ASSIGN_OR_RETURN(const SliceRange range, ResolveSlice(start, stop, step, length));
  if (range.count == 0) return runtime.MakeText("");
  if (range.step == 1)
    return Slice(runtime, value.text(), offsets[static_cast<size_t>(range.start)],
                 offsets[static_cast<size_t>(range.start + range.count)]);
  TextBuilder builder;
  for (int64_t i = 0; i < range.count; ++i) {
    const auto at = static_cast<size_t>(range.start + i * range.step);
    builder.AppendSlice(value.text(), offsets[at], offsets[at + 1]);
  }
  return runtime.MakeText(std::move(builder));
}

}  // namespace

std::optional<Value> FindMethod(const Value& receiver, std::string_view name) {
  const Method method = FindMethodOf(receiver, name);
  if (method == nullptr) return std::nullopt;
  return MakeFunction(
      std::string(name),
      [method, receiver](Runtime& runtime, const Arguments& arguments) {
        return method(runtime, receiver, arguments);
      },
      NestingOf(receiver));
}

Result<Value> GetAttribute(Runtime& runtime, const Value& value, std::string_view name) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (auto method = FindMethod(value, name)) return *std::move(method);
  if (IsRefused(value, name))
    return MakeUndefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, TypeName(value)));
  if (value.Is<LoopPtr>()) return GetLoopAttribute(value.As<LoopPtr>(), name);
  if (value.Is<NamespacePtr>()) {
    const Value* found = value.As<NamespacePtr>()->Find(name);
    return found != nullptr ? *found : UndefinedAttribute(value, name);
  }
  const bool in_group = value.is_list() && value.list().is_group && value.list().items.size() == 2;
  if (in_group && (name == "grouper" || name == "list"))
    return value.list().items[name == "grouper" ? 0 : 1];
  if (value.Is<FunctionPtr>() && name == "name")
    return runtime.MakeText(value.As<FunctionPtr>()->name);
  if (value.is_dict()) {
    const Value* found = value.dict().Find(name);
    if (found != nullptr) return *found;
  }
  return UndefinedAttribute(value, name);
}

Result<Value> GetItem(Runtime& runtime, const Value& value, const Value& key) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.is_text()) BATON_RETURN_IF_ERROR(runtime.StepBytes(value.bytes().size()));
  if (auto item = FindItem(runtime, value, key)) return *std::move(item);
  if (key.is_text()) return GetAttribute(runtime, value, key.bytes());
  return MakeUndefined(fmt::format("{} has no element {}", ObjectName(value),
                                   key.is_number() ? Repr(key) : TypeName(key)));
}

Result<Value> GetSlice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                       const Value& step) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.is_text()) return SliceText(runtime, value, start, stop, step);
  const bool sliceable = value.is_list() && (value.list().kind == ListKind::kList ||
                                             value.list().kind == ListKind::kTuple ||
                                             value.list().kind == ListKind::kRange);
  if (!sliceable) return TypeError(fmt::format("'{}' object cannot be sliced", TypeName(value)));
  const List& list = value.list();
  const auto length = static_cast<int64_t>(list.items.size());
  BATON_ASSIGN_OR_RETURN(const SliceRange range, ResolveSlice(start, stop, step, length));
  BATON_RETURN_IF_ERROR(runtime.Step(1 + static_cast<uint64_t>(range.count) / 8));
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(range.count));
  for (int64_t i = 0; i < range.count; ++i)
    items.push_back(list.items[static_cast<size_t>(range.start + i * range.step)]);
  return runtime.MakeList(std::move(items), list.kind);
}

Result<Value> Call(Runtime& runtime, const Value& callee, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(CheckDefined(callee));
  BATON_RETURN_IF_ERROR(runtime.Step());
  FunctionPtr function;
  if (callee.Is<FunctionPtr>()) function = callee.As<FunctionPtr>();
  if (callee.Is<LoopPtr>()) function = callee.As<LoopPtr>()->recurse;
  if (function == nullptr)
    return TypeError(fmt::format("'{}' object is not callable", TypeName(callee)));
  return function->call(runtime, arguments);
}

}  // namespace baton::jinja
