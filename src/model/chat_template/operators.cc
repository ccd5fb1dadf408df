#include "model/chat_template/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/chat_template/python_format.h"

namespace baton::jinja {
namespace {

std::string_view SymbolOf(Operator op) {
  switch (op) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    case Operator::kPower:
      return "**";
    default:
      return "comparison";
  }
}

// In Python's words.
Error Unsupported(Operator op, const Value& left, const Value& right) {
  const auto is_sequence = [](const Value& value) {
    return value.Is<TextPtr>() || value.Is<ListPtr>();
  };
  if (op == Operator::kAdd && is_sequence(left))
    return TypeError(fmt::format("can only concatenate {} (not \"{}\") to {}", TypeName(left),
                                 TypeName(right), TypeName(left)));
  if (op == Operator::kMultiply && (is_sequence(left) || is_sequence(right)))
    return TypeError(fmt::format("can't multiply sequence by non-int of type '{}'",
                                 TypeName(is_sequence(left) ? right : left)));
  return TypeError(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", SymbolOf(op),
                               TypeName(left), TypeName(right)));
}

Result<Value> PowerOfIntegers(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return TypeError("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Value(exponent == 0 ? int64_t{1} : base);
  if (base == -1) return Value(int64_t{exponent % 2 == 0 ? 1 : -1});
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; ++i) {  // overflows within 63 rounds
    if (__builtin_mul_overflow(result, base, &result)) return TooLarge();
  }
  return Value(result);
}

Result<Value> OnIntegers(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case Operator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) return TooLarge();
      return Value(result);
    case Operator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) return TooLarge();
      return Value(result);
    case Operator::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) return TooLarge();
      return Value(result);
    case Operator::kDivide:
      if (b == 0) return TypeError("division by zero");
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
    case Operator::kModulo: {
      if (b == 0)
        return TypeError(op == Operator::kModulo ? "integer modulo by zero"
                                                 : "integer division or modulo by zero");
      if (b == -1) {
        if (op == Operator::kModulo) return Value(int64_t{0});
        if (a == std::numeric_limits<int64_t>::min()) return TooLarge();
      }
      const int64_t remainder = a % b;
      const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
      if (op == Operator::kModulo) return Value(adjust ? remainder + b : remainder);
      return Value(a / b - (adjust ? 1 : 0));
    }
    default:
      return PowerOfIntegers(a, b);
  }
}

Result<Value> OnFloats(Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return Value(a + b);
    case Operator::kSubtract:
      return Value(a - b);
    case Operator::kMultiply:
      return Value(a * b);
    case Operator::kPower:
      if (a < 0 && b != std::floor(b))
        return TypeError(
            fmt::format("{} ** {} is a complex number", FormatFloat(a), FormatFloat(b)));
      if (a == 0 && b < 0) return TypeError("0.0 cannot be raised to a negative power");
      return Value(std::pow(a, b));
    default:
      break;
  }
  if (b == 0)
    return TypeError(op == Operator::kDivide   ? "float division by zero"
                     : op == Operator::kModulo ? "float modulo"
                                               : "float floor division by zero");
  if (op == Operator::kDivide) return Value(a / b);
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
  // Zeros have the sign of the divisor, or of the quotient.
  if (op == Operator::kModulo) return Value(remainder == 0 ? std::copysign(0.0, b) : remainder);
  const double whole = std::floor((a - remainder) / b + 0.5);
  return Value(whole == 0 ? std::copysign(0.0, a / b) : whole);
}

Result<Value> AddTexts(Runtime& runtime, const Value& left, const Value& right) {
  const bool markup = left.text().markup || right.text().markup;
  const Value a = markup ? Escape(runtime, left) : left;
  const Value b = markup ? Escape(runtime, right) : right;
  const uint64_t size = a.bytes().size() + b.bytes().size();
  BATON_RETURN_IF_ERROR(runtime.heap.Reserve(size));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(size));
  TextBuilder builder;
  builder.Append(a.text());
  builder.Append(b.text());
  Text text = std::move(builder).Build();
  text.markup = markup;
  return runtime.MakeText(std::move(text));
}

Result<Value> AddLists(Runtime& runtime, const List& left, const List& right) {
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  BATON_RETURN_IF_ERROR(runtime.Step(1 + items.size() / 8));
  return runtime.MakeList(std::move(items), left.kind);
}

Result<Value> RepeatText(Runtime& runtime, const Text& text, int64_t count) {
  TextBuilder builder;
  if (text.bytes().empty() || count <= 0) return runtime.MakeText(std::move(builder));
  const auto times = static_cast<uint64_t>(count);
  if (times > runtime.heap.max_bytes() / text.bytes().size())
    return runtime.heap.Reserve(runtime.heap.max_bytes() + 1).error();
  BATON_RETURN_IF_ERROR(runtime.heap.Reserve(times * text.bytes().size()));
  BATON_RETURN_IF_ERROR(runtime.Step(1 + times));
  for (uint64_t i = 0; i < times; ++i) builder.Append(text);
  return runtime.MakeText(std::move(builder));
}

Result<Value> RepeatList(Runtime& runtime, const List& list, int64_t count) {
  std::vector<Value> items;
  if (list.items.empty() || count <= 0) return runtime.MakeList({}, list.kind);
  const auto times = static_cast<uint64_t>(count);
  if (times > runtime.heap.max_bytes() / sizeof(Value) / list.items.size())
    return runtime.heap.Reserve(runtime.heap.max_bytes() + 1).error();
  BATON_RETURN_IF_ERROR(runtime.heap.Reserve(times * list.items.size() * sizeof(Value)));
  BATON_RETURN_IF_ERROR(runtime.Step(1 + times * list.items.size() / 8));
  for (uint64_t i = 0; i < times; ++i)
    items.insert(items.end(), list.items.begin(), list.items.end());
  return runtime.MakeList(std::move(items), list.kind);
}

bool IsConcatenable(const Value& value) {
  return value.is_list() &&
         (value.list().kind == ListKind::kList || value.list().kind == ListKind::kTuple);
}

Result<Value> Arithmetic(Runtime& runtime, Operator op, const Value& left, const Value& right) {
  BATON_RETURN_IF_ERROR(CheckDefined(left));
  if (op == Operator::kModulo && left.is_text()) {
    BATON_RETURN_IF_ERROR(runtime.StepBytes(left.bytes().size() + WeightOf(right)));
    return PercentFormat(runtime, left.text(), right);
  }
  BATON_RETURN_IF_ERROR(CheckDefined(right));
  if (left.is_integer() && right.is_integer())
    return OnIntegers(op, left.integer(), right.integer());
  if (left.is_number() && right.is_number()) {
    if (left.is_whole() && right.is_whole() && op != Operator::kDivide) return TooLarge();
    return OnFloats(op, left.number(), right.number());
  }
  if (op == Operator::kAdd) {
    if (left.is_text() && right.is_text()) return AddTexts(runtime, left, right);
    if (IsConcatenable(left) && IsConcatenable(right) && left.list().kind == right.list().kind)
      return AddLists(runtime, left.list(), right.list());
  }
  if (op == Operator::kMultiply) {
    if (left.is_text() && right.is_integer())
      return RepeatText(runtime, left.text(), right.integer());
    if (left.is_integer() && right.is_text())
      return RepeatText(runtime, right.text(), left.integer());
    if (IsConcatenable(left) && right.is_integer())
      return RepeatList(runtime, left.list(), right.integer());
    if (left.is_integer() && IsConcatenable(right))
      return RepeatList(runtime, right.list(), left.integer());
  }
  return Unsupported(op, left, right);
}

std::string_view EntityOf(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&#34;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

}  // namespace

Error TooLarge() {
  return MakeError(Code::kResourceExhausted, "an integer of the chat template exceeds 64 bits");
}

Result<bool> Contains(Runtime& runtime, const Value& haystack, const Value& needle) {
  if (haystack.is_text()) {
    BATON_RETURN_IF_ERROR(CheckDefined(needle));
    if (!needle.is_text())
      return TypeError(
          fmt::format("'in <string>' requires string as left operand, not {}", TypeName(needle)));
    BATON_RETURN_IF_ERROR(runtime.StepBytes(haystack.bytes().size()));
    return haystack.bytes().find(needle.bytes()) != std::string::npos;
  }
  if (haystack.is_dict()) {
    if (needle.is_dict() || (needle.is_list() && needle.list().kind != ListKind::kTuple))
      return TypeError(fmt::format("unhashable type: '{}'", TypeName(needle)));
    return haystack.dict().Find(needle) != nullptr;
  }
  if (haystack.is_undefined()) return false;
  if (!haystack.is_list())
    return TypeError(fmt::format("argument of type '{}' is not iterable", TypeName(haystack)));
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, haystack));
  BATON_RETURN_IF_ERROR(runtime.StepOver(haystack));
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& item) { return Equal(item, needle); });
}

Result<Value> Apply(Runtime& runtime, Operator op, const Value& left, const Value& right) {
  switch (op) {
    case Operator::kEqual:
    case Operator::kNotEqual:
      BATON_RETURN_IF_ERROR(runtime.StepBytes(std::min(WeightOf(left), WeightOf(right))));
      return Value(Equal(left, right) == (op == Operator::kEqual));
    case Operator::kIn:
    case Operator::kNotIn: {
      BATON_ASSIGN_OR_RETURN(const bool found, Contains(runtime, right, left));
      return Value(found == (op == Operator::kIn));
    }
    case Operator::kLess:
    case Operator::kGreater: {
      const bool swapped = op == Operator::kGreater;
      BATON_ASSIGN_OR_RETURN(const bool less, swapped ? Less(right, left) : Less(left, right));
      return Value(less);
    }
    case Operator::kLessEqual:
    case Operator::kGreaterEqual: {
      const Value& small = op == Operator::kLessEqual ? left : right;
      const Value& large = op == Operator::kLessEqual ? right : left;
      BATON_ASSIGN_OR_RETURN(const bool less, Less(small, large));
      return Value(less || Equal(small, large));
    }
    default:
      return Arithmetic(runtime, op, left, right);
  }
}

Result<Value> Negate(const Value& value) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.Is<double>()) return Value(-value.number());
  if (value.is_large()) return TooLarge();
  if (!value.is_integer())
    return TypeError(fmt::format("bad operand type for unary -: '{}'", TypeName(value)));
  if (value.integer() == std::numeric_limits<int64_t>::min()) return TooLarge();
  return Value(-value.integer());
}

Result<Value> Plus(const Value& value) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.Is<double>() || value.is_large()) return value;
  if (!value.is_integer())
    return TypeError(fmt::format("bad operand type for unary +: '{}'", TypeName(value)));
  return Value(value.integer());
}

Value Escape(Runtime& runtime, const Value& value) {
  const Value text = ToText(runtime, value);
  if (text.text().markup) return text;
  TextBuilder builder;
  for (size_t at = 0; at < text.bytes().size(); ++at) {
    const std::string_view entity = EntityOf(text.bytes()[at]);
    if (entity.empty())
      builder.AppendSlice(text.text(), at, at + 1);
    else
      builder.Append(entity);
  }
  Text escaped = std::move(builder).Build();
  escaped.markup = true;
  return runtime.MakeText(std::move(escaped));
}

}  // namespace baton::jinja
