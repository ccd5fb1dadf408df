#include <algorithm>

#include "model/chat_template/filters.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/python_format.h"
#include "model/chat_template/text_methods.h"

namespace baton::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

bool IsSequence(const Value& value) {
  if (value.is_list())
    return value.list().kind == ListKind::kList || value.list().kind == ListKind::kTuple ||
           value.list().kind == ListKind::kRange;
  return value.is_text() || value.is_dict() || value.is_undefined();
}

bool IsIterable(const Value& value) {
  return value.is_undefined() || value.is_text() || value.is_list() || value.is_dict() ||
         value.Is<LoopPtr>();
}

// Tests of the value alone.
struct PlainRow {
  std::string_view name;
  bool (*test)(const Value&);
};
constexpr PlainRow kPlain[] = {
    {"defined", [](const Value& v) { return !v.is_undefined(); }},
    {"undefined", [](const Value& v) { return v.is_undefined(); }},
    {"none", [](const Value& v) { return v.is_none(); }},
    {"boolean", [](const Value& v) { return v.Is<bool>(); }},
    {"true", [](const Value& v) { return v.Is<bool>() && v.As<bool>(); }},
    {"false", [](const Value& v) { return v.Is<bool>() && !v.As<bool>(); }},
    {"integer", [](const Value& v) { return v.Is<int64_t>() || v.is_large(); }},
    {"float", [](const Value& v) { return v.Is<double>(); }},
    {"number", [](const Value& v) { return v.is_number(); }},
    {"string", [](const Value& v) { return v.is_text(); }},
    {"mapping", [](const Value& v) { return v.is_dict(); }},
    {"sequence", IsSequence},
    {"iterable", IsIterable},
    {"callable", [](const Value& v) { return v.Is<FunctionPtr>() || v.is_undefined(); }},
    {"escaped", [](const Value& v) { return v.is_text() && v.text().markup; }},
    {"filter", [](const Value& v) { return v.is_text() && HasFilter(v.bytes()); }},
    {"test", [](const Value& v) { return v.is_text() && HasTest(v.bytes()); }},
};

// Tests that are operators.
struct OperatorRow {
  std::string_view name;
  Operator op;
};
constexpr OperatorRow kOperators[] = {
    {"eq", Operator::kEqual},
    {"==", Operator::kEqual},
    {"equalto", Operator::kEqual},
    {"ne", Operator::kNotEqual},
    {"!=", Operator::kNotEqual},
    {"lt", Operator::kLess},
    {"<", Operator::kLess},
    {"lessthan", Operator::kLess},
    {"le", Operator::kLessEqual},
    {"<=", Operator::kLessEqual},
    {"gt", Operator::kGreater},
    {">", Operator::kGreater},
    {"greaterthan", Operator::kGreater},
    {"ge", Operator::kGreaterEqual},
    {">=", Operator::kGreaterEqual},
    {"in", Operator::kIn},
};

Result<bool> IsDivisible(Runtime& runtime, const Value& value, const Value& by, int64_t remainder) {
  BATON_ASSIGN_OR_RETURN(const Value rest, Apply(runtime, Operator::kModulo, value, by));
  return Equal(rest, Value(remainder));
}

bool IsSame(const Value& a, const Value& b) {
  if (a.is_list() && b.is_list()) return a.As<ListPtr>() == b.As<ListPtr>();
  if (a.is_dict() && b.is_dict()) return a.As<DictPtr>() == b.As<DictPtr>();
  return TypeName(a) == TypeName(b) && Equal(a, b);
}

const PlainRow* FindPlain(std::string_view name) {
  const auto at = std::find_if(std::begin(kPlain), std::end(kPlain),
                               [name](const PlainRow& row) { return row.name == name; });
  return at == std::end(kPlain) ? nullptr : at;
}

const OperatorRow* FindOperator(std::string_view name) {
  const auto at = std::find_if(std::begin(kOperators), std::end(kOperators),
                               [name](const OperatorRow& row) { return row.name == name; });
  return at == std::end(kOperators) ? nullptr : at;
}

// Of any value, as it prints.
Result<bool> HasCase(Runtime& runtime, const Value& value, std::string_view method) {
  BATON_RETURN_IF_ERROR(runtime.StepBytes(8 * WeightOf(value)));
  BATON_ASSIGN_OR_RETURN(const Value answer,
                         FindTextMethod(method)(runtime, ToText(runtime, value), {}));
  return IsTruthy(answer);
}

bool IsComputed(std::string_view name) {
  return name == "odd" || name == "even" || name == "divisibleby" || name == "sameas" ||
         name == "lower" || name == "upper";
}

}  // namespace

bool HasTest(std::string_view name) {
  return FindPlain(name) != nullptr || FindOperator(name) != nullptr || IsComputed(name);
}

Result<bool> ApplyTest(Runtime& runtime, std::string_view name, const Value& value,
                       const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(runtime.Step());
  if (const PlainRow* plain = FindPlain(name)) {
    BATON_RETURN_IF_ERROR(arguments.Bind(name, {}));
    return plain->test(value);
  }
  if (name == "odd" || name == "even") {
    BATON_RETURN_IF_ERROR(arguments.Bind(name, {}));
    return IsDivisible(runtime, value, Value(int64_t{2}), name == "odd" ? 1 : 0);
  }
  if (name == "lower" || name == "upper") {
    BATON_RETURN_IF_ERROR(arguments.Bind(name, {}));
    return HasCase(runtime, value, name == "lower" ? "islower" : "isupper");
  }
  if (FindOperator(name) == nullptr && !IsComputed(name))
    return TypeError(fmt::format("No test named '{}' found.", name));
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind(name, {"other"}, 1));
  if (name == "divisibleby") return IsDivisible(runtime, value, *bound[0], 0);
  if (name == "sameas") return IsSame(value, *bound[0]);
  BATON_ASSIGN_OR_RETURN(const Value answer,
                         Apply(runtime, FindOperator(name)->op, value, *bound[0]));
  return IsTruthy(answer);
}

}  // namespace baton::jinja
