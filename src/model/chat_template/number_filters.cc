// Filters that make numbers, or texts of them.
#include <charconv>
#include <cmath>

#include "model/chat_template/filter_arguments.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/python_format.h"

namespace baton::jinja {
namespace {

std::string Stripped(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<uint8_t>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<uint8_t>(text.back()))) text.remove_suffix(1);
  return std::string(text);
}

std::optional<int64_t> ParseInteger(std::string_view raw, int base) {
  std::string text = Stripped(raw);
  std::erase(text, '_');
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const auto skip_prefix = [&](std::string_view lower, std::string_view upper) {
    if (digits.starts_with(lower) || digits.starts_with(upper)) digits.remove_prefix(2);
  };
  if (base == 16) skip_prefix("0x", "0X");
  if (base == 8) skip_prefix("0o", "0O");
  if (base == 2) skip_prefix("0b", "0B");
  if (digits.empty() || digits.starts_with('-') || digits.starts_with('+')) return std::nullopt;
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return negative ? -number : number;
}

std::optional<double> ParseFloat(std::string_view raw) {
  std::string text = Stripped(raw);
  std::erase(text, '_');
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size())
    return std::nullopt;
  return number;
}

std::optional<int64_t> Truncated(double number) {
  if (!(std::fabs(number) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(number);
}

Result<Value> IntFilter(Runtime&, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("int", {"default", "base"}));
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  BATON_ASSIGN_OR_RETURN(const int64_t base, Integer(bound[1], 10));
  if (base < 2 || base > 36) return TypeError("int() base must be >= 2 and <= 36");
  if (value.is_large()) return value;
  std::optional<int64_t> number;
  std::optional<double> real;
  if (value.is_integer()) number = value.integer();
  if (value.Is<double>()) real = value.number();
  if (value.is_text()) {
    number = ParseInteger(value.bytes(), static_cast<int>(base));
    if (!number) real = ParseFloat(value.bytes());
  }
  if (real) number = Truncated(*real);
  if (number) return Value(*number);
  if (real && std::isfinite(*real)) return TooLarge();
  return bound[0] ? *bound[0] : Value(int64_t{0});
}

Result<Value> FloatFilter(Runtime&, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("float", {"default"}));
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.is_number()) return Value(value.number());
  const auto number = value.is_text() ? ParseFloat(value.bytes()) : std::nullopt;
  if (number) return Value(*number);
  return bound[0] ? *bound[0] : Value(0.0);
}

Result<Value> Abs(Runtime&, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("abs", {}));
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.Is<double>()) return Value(std::fabs(value.number()));
  if (value.is_large()) return value;
  if (!value.is_integer())
    return TypeError(fmt::format("bad operand type for abs(): '{}'", TypeName(value)));
  return value.integer() < 0 ? Negate(value) : Result<Value>(Value(value.integer()));
}

Result<Value> Round(Runtime&, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("round", {"precision", "method"}));
  BATON_ASSIGN_OR_RETURN(const int64_t precision, Integer(bound[0], 0));
  const std::string method = TextOr(bound[1], "common");
  if (method != "common" && method != "ceil" && method != "floor")
    return TypeError("method must be common, ceil or floor");
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (!value.is_number())
    return TypeError(fmt::format("type {} doesn't define __round__ method", TypeName(value)));
  if (std::abs(precision) > 300) return TypeError("round() precision is out of range");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double number = value.number();
  if (method == "ceil") return Value(std::ceil(number * scale) / scale);
  if (method == "floor") return Value(std::floor(number * scale) / scale);
  if (value.is_whole() && precision >= 0) return value.is_large() ? value : Value(value.integer());
  if (precision < 0) {
    const double rounded = std::nearbyint(number * scale) / scale;
    if (!value.is_whole()) return Value(rounded);
    const auto whole = Truncated(rounded);
    if (!whole) return MakeError(Code::kResourceExhausted, "round() exceeds 64 bits");
    return Value(*whole);
  }
  // Correctly rounded, as Python's round(): through the decimal digits.
  return Value(std::strtod(fmt::format("{:.{}f}", number, precision).c_str(), nullptr));
}

Result<Value> Sum(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("sum", {"attribute", "start"}));
  BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, value));
  Value total = bound[1] ? *bound[1] : Value(int64_t{0});
  for (const Value& item : items) {
    BATON_ASSIGN_OR_RETURN(const Value key, KeyOf(runtime, item, bound[0], true));
    BATON_ASSIGN_OR_RETURN(total, Apply(runtime, Operator::kAdd, total, key));
  }
  return total;
}

Result<Value> FileSizeFormat(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("filesizeformat", {"binary"}));
  const auto number = value.is_text() ? ParseFloat(value.bytes()) : std::nullopt;
  if (!value.is_number() && !number) return TypeError("filesizeformat needs a number");
  const bool binary = Flag(bound[0], false);
  const double base = binary ? 1024 : 1000;
  const double bytes = number ? *number : value.number();
  if (bytes == 1) return runtime.MakeText("1 Byte");
  if (bytes < base) return runtime.MakeText(fmt::format("{} Bytes", static_cast<int64_t>(bytes)));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  size_t i = 0;
  while (bytes >= unit * base && i + 1 < kPrefixes.size()) {
    unit *= base;
    ++i;
  }
  const std::string prefix = binary
                                 ? fmt::format("{}i", static_cast<char>(std::toupper(kPrefixes[i])))
                                 : std::string(1, kPrefixes[i]);
  return runtime.MakeText(fmt::format("{:.1f} {}B", bytes / unit, prefix));
}

constexpr FilterRow kFilters[] = {
    {"abs", Abs},           {"filesizeformat", FileSizeFormat},
    {"float", FloatFilter}, {"int", IntFilter},
    {"round", Round},       {"sum", Sum},
};

}  // namespace

std::span<const FilterRow> NumberFilters() {
  return kFilters;
}

}  // namespace baton::jinja
