#include "model/chat_template/globals.h"

#include <array>
#include <ctime>

#include "model/chat_template/python_format.h"

namespace baton::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

constexpr int64_t kRangeMax = 100'000;  // as in Jinja's sandbox
constexpr size_t kDateBytesMax = 4096;

Result<int64_t> Integer(const Value& value) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (!value.is_integer())
    return TypeError(
        fmt::format("'{}' object cannot be interpreted as an integer", TypeName(value)));
  return value.integer();
}

Result<Value> Range(Runtime& runtime, const Arguments& arguments) {
  const auto& given = arguments.positional;
  if (given.empty() || given.size() > 3 || !arguments.named.empty())
    return TypeError(fmt::format("range expected 1 to 3 arguments, got {}", given.size()));
  int64_t start = 0;
  int64_t step = 1;
  BATON_ASSIGN_OR_RETURN(int64_t stop, Integer(given[0]));
  if (given.size() > 1) {
    start = stop;
    BATON_ASSIGN_OR_RETURN(stop, Integer(given[1]));
  }
  if (given.size() > 2) {
    BATON_ASSIGN_OR_RETURN(step, Integer(given[2]));
  }
  if (step == 0) return TypeError("range() arg 3 must not be zero");
  const auto distance = static_cast<__int128>(step > 0 ? stop : start) - (step > 0 ? start : stop);
  const auto stride = step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step);
  const __int128 count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  if (count > kRangeMax)
    return MakeError(Code::kResourceExhausted,
                     "range too big: the sandbox blocks ranges larger than {}", kRangeMax);
  BATON_RETURN_IF_ERROR(runtime.Step(1 + static_cast<uint64_t>(count) / 8));
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i)
    items.push_back(Value(start + i * step));
  return runtime.MakeList(std::move(items), ListKind::kRange);
}

// The pairs of a dictionary, then the named arguments.
Result<std::vector<std::pair<std::string, Value>>> NamedPairs(const Arguments& arguments) {
  std::vector<std::pair<std::string, Value>> pairs;
  for (const Value& given : arguments.positional) {
    if (!given.is_dict())
      return TypeError(fmt::format("cannot make names of a '{}'", TypeName(given)));
    for (const auto& [key, value] : given.dict().entries()) pairs.emplace_back(Str(key), value);
  }
  pairs.insert(pairs.end(), arguments.named.begin(), arguments.named.end());
  return pairs;
}

Result<Value> MakeDict(Runtime& runtime, const Arguments& arguments) {
  const auto dict = runtime.NewDict();
  for (const Value& given : arguments.positional) {
    if (given.is_dict()) {
      for (const auto& [key, value] : given.dict().entries()) dict->Set(key, value);
      continue;
    }
    BATON_ASSIGN_OR_RETURN(const std::vector<Value> pairs, Iterate(runtime, given));
    for (const Value& pair : pairs) {
      if (!pair.is_list() || pair.list().items.size() != 2)
        return TypeError("a dictionary is made of pairs");
      dict->Set(pair.list().items[0], pair.list().items[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) dict->Set(runtime.MakeText(name), value);
  return Value(DictPtr(dict));
}

Result<Value> MakeNamespace(Runtime& runtime, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(auto pairs, NamedPairs(arguments));
  return runtime.MakeNamespace(std::move(pairs));
}

Result<Value> Joiner(Runtime& runtime, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("joiner", {"sep"}));
  const Value separator = bound[0] ? *bound[0] : runtime.MakeText(", ");
  const auto used = std::make_shared<bool>(false);
  return MakeFunction(
      "joiner",
      [separator, used](Runtime& inner, const Arguments&) -> Result<Value> {
        return std::exchange(*used, true) ? separator : inner.MakeText("");
      },
      NestingOf(separator));
}

// An object with `current`, next() and reset().
Result<Value> Cycler(Runtime& runtime, const Arguments& arguments) {
  if (arguments.positional.empty()) return TypeError("at least one item has to be provided");
  const Value items = runtime.MakeList(arguments.positional);
  const Value cycler = runtime.MakeNamespace({{"current", arguments.positional[0]}});
  const auto position = std::make_shared<size_t>(0);
  // The namespace owns these functions, so they must not own it.
  const std::weak_ptr<Namespace> self = cycler.As<NamespacePtr>();
  const auto move_to = [items, position, self](size_t index) {
    const Value shown = items.list().items[*position % items.list().items.size()];
    *position = index % items.list().items.size();
    if (const NamespacePtr alive = self.lock())
      alive->Set("current", items.list().items[*position]);
    return shown;
  };
  const NamespacePtr& object = cycler.As<NamespacePtr>();
  const int nesting = NestingOf(items);
  object->Set("next", MakeFunction(
                          "next",
                          [move_to, position](Runtime&, const Arguments&) -> Result<Value> {
                            return move_to(*position + 1);
                          },
                          nesting));
  object->Set("reset", MakeFunction(
                           "reset",
                           [move_to](Runtime&, const Arguments&) -> Result<Value> {
                             move_to(0);
                             return Value(None{});
                           },
                           nesting));
  return cycler;
}

Result<Value> RaiseException(Runtime&, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("raise_exception", {"message"}, 1));
  return MakeError(Code::kInvalidArgument, "{}", Str(*bound[0]));
}

Result<Value> StrftimeNow(Runtime& runtime, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("strftime_now", {"format"}, 1));
  if (!bound[0]->is_text()) return TypeError("strftime() argument 1 must be str");
  std::string format = bound[0]->bytes();
  if (format.size() > kDateBytesMax / 16) return TypeError("the date format is too long");
  for (size_t at = 0; (at = format.find("%f", at)) != std::string::npos;)
    format.replace(at, 2, "000000");
  const std::time_t seconds = runtime.now_seconds;
  std::tm civil{};
  ::gmtime_r(&seconds, &civil);
  std::array<char, kDateBytesMax> buffer;
  const size_t length = std::strftime(buffer.data(), buffer.size(), format.c_str(), &civil);
  TextBuilder builder;
  builder.AppendDerived({buffer.data(), length}, HasUntrusted(*bound[0]));
  return runtime.MakeText(std::move(builder));
}

}  // namespace

std::vector<std::pair<std::string, Value>> Globals() {
  const auto function = [](std::string name, Result<Value> (*call)(Runtime&, const Arguments&)) {
    Value value = MakeFunction(name, call);
    return std::pair<std::string, Value>(std::move(name), std::move(value));
  };
  return {function("range", Range),
          function("dict", MakeDict),
          function("namespace", MakeNamespace),
          function("joiner", Joiner),
          function("cycler", Cycler),
          function("raise_exception", RaiseException),
          function("strftime_now", StrftimeNow)};
}

}  // namespace baton::jinja
