#include "model/chat_template/python_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <utf8proc.h>

#include "model/chat_template/access.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

constexpr int kWidthMax = 1 << 16;

bool IsPrintable(char32_t c) {
  if (c == ' ') return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

std::string EscapeForRepr(char32_t c, char quote) {
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  if (c == '\\' || c == static_cast<char32_t>(quote))
    return std::string("\\") + static_cast<char>(c);
  if (IsPrintable(c)) return ToUtf8(c);
  if (c < 0x100) return fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
  if (c < 0x10000) return fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  return fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
}

std::string ReprText(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string repr(1, quote);
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    repr += EscapeForRepr(character.code_point, quote);
    at += character.length;
  }
  return repr + quote;
}

std::string JoinReprs(const std::vector<Value>& items) {
  std::string joined;
  for (const Value& item : items) joined += (joined.empty() ? "" : ", ") + Repr(item);
  return joined;
}

std::string ReprRange(const List& list) {
  const int64_t first = list.items.empty() ? 0 : list.items.front().integer();
  const int64_t step = list.items.size() < 2 ? 1 : list.items[1].integer() - first;
  const int64_t end = list.items.empty() ? 0 : list.items.back().integer() + step;
  const std::string bounds = fmt::format("range({}, {}", first, end);
  return step == 1 ? bounds + ")" : fmt::format("{}, {})", bounds, step);
}

std::string ReprList(const List& list) {
  switch (list.kind) {
    case ListKind::kList:
      return "[" + JoinReprs(list.items) + "]";
    case ListKind::kTuple:
      return "(" + JoinReprs(list.items) + (list.items.size() == 1 ? ",)" : ")");
    case ListKind::kRange:
      return ReprRange(list);
    case ListKind::kKeys:
      return "dict_keys([" + JoinReprs(list.items) + "])";
    case ListKind::kValues:
      return "dict_values([" + JoinReprs(list.items) + "])";
    case ListKind::kItems:
      return "dict_items([" + JoinReprs(list.items) + "])";
    case ListKind::kGenerator:
      return "<generator object>";
  }
  return "";
}

std::string ReprDict(const Dict& dict) {
  std::string repr;
  for (const auto& [key, value] : dict.entries())
    repr += (repr.empty() ? "" : ", ") + Repr(key) + ": " + Repr(value);
  return "{" + repr + "}";
}

// A format specification, of either kind of formatting.
struct Spec {
  std::string fill = " ";
  char align = 0;  // '<' '>' '^' '='; 0: by type
  char sign = '-';
  bool alternate = false;
  int width = 0;
  char grouping = 0;  // ',' or '_'
  int precision = -1;
  char type = 0;
};

std::string GroupDigits(std::string digits, char separator, size_t group) {
  const size_t whole = std::min(digits.find_first_of(".e"), digits.size());
  for (size_t at = whole; at > group; at -= group) digits.insert(at - group, 1, separator);
  return digits;
}

// Digits of a non-negative number in a printf type.
std::string FloatDigits(double number, char type, int precision) {
  if (std::isnan(number)) return std::isupper(type) ? "NAN" : "nan";
  if (std::isinf(number)) return std::isupper(type) ? "INF" : "inf";
  const char format[] = {'%', '.', '*', type, 0};
  const int length = std::snprintf(nullptr, 0, format, precision, number);
  std::string digits(static_cast<size_t>(length) + 1, '\0');
  std::snprintf(digits.data(), digits.size(), format, precision, number);
  digits.pop_back();
  return digits;
}

std::string IntegerDigits(uint64_t number, const Spec& spec) {
  switch (spec.type) {
    case 'x':
      return (spec.alternate ? "0x" : "") + fmt::format("{:x}", number);
    case 'X':
      return (spec.alternate ? "0X" : "") + fmt::format("{:X}", number);
    case 'o':
      return (spec.alternate ? "0o" : "") + fmt::format("{:o}", number);
    case 'b':
      return (spec.alternate ? "0b" : "") + fmt::format("{:b}", number);
    default:
      return fmt::format("{}", number);
  }
}

std::string Pad(const std::string& sign, const std::string& body, const Spec& spec,
                char default_align) {
  const auto length = static_cast<int64_t>(CountUtf8(sign) + CountUtf8(body));
  const int64_t missing = spec.width - length;
  if (missing <= 0) return sign + body;
  const char align = spec.align != 0 ? spec.align : default_align;
  const int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  std::string padding_left;
  std::string padding_right;
  for (int64_t i = 0; i < missing; ++i) (i < left ? padding_left : padding_right) += spec.fill;
  if (align == '=') return sign + padding_left + body;
  return padding_left + sign + body + padding_right;
}

std::string SignOf(bool negative, const Spec& spec) {
  if (negative) return "-";
  return spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
}

// Of a whole number.
std::string FormatInteger(const Value& value, const Spec& spec) {
  const uint64_t number = value.is_large() ? value.large() : static_cast<uint64_t>(value.integer());
  const bool negative = !value.is_large() && value.integer() < 0;
  const uint64_t magnitude = negative ? ~number + 1 : number;
  std::string digits = IntegerDigits(magnitude, spec);
  if (spec.precision > static_cast<int>(digits.size()))
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  if (spec.grouping != 0) digits = GroupDigits(digits, spec.grouping, 3);
  return Pad(SignOf(negative, spec), digits, spec, '>');
}

std::string FormatDouble(double number, const Spec& spec) {
  const bool negative = std::signbit(number) && !std::isnan(number);
  const double magnitude = std::fabs(number);
  std::string digits;
  if (spec.type == 0 && spec.precision < 0) {
    digits = FormatFloat(magnitude);
  } else if (spec.type == '%') {
    digits = FloatDigits(magnitude * 100, 'f', spec.precision < 0 ? 6 : spec.precision) + "%";
  } else {
    const char type = spec.type == 0 || spec.type == 'n' ? 'g' : spec.type;
    digits = FloatDigits(magnitude, type, spec.precision < 0 ? 6 : spec.precision);
    if (spec.type == 0 && digits.find_first_of(".en") == std::string::npos) digits += ".0";
  }
  if (spec.grouping != 0) digits = GroupDigits(digits, spec.grouping, 3);
  return Pad(SignOf(negative, spec), digits, spec, '>');
}

std::string FormatString(std::string_view text, const Spec& spec) {
  std::string shown(text);
  if (spec.precision >= 0) {
    size_t at = 0;
    for (int i = 0; i < spec.precision && at < text.size(); ++i) at += Utf8At(text, at).length;
    shown.resize(at);
  }
  return Pad("", shown, spec, '<');
}

// --- the % operator -------------------------------------------------------------------------

class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, const Text& format, const Value& arguments)
      : runtime_(runtime), format_(format), bytes_(format.bytes()), arguments_(arguments) {}

  Result<Value> Run() {
    size_t plain = 0;
    while ((at_ = bytes_.find('%', at_)) != std::string_view::npos) {
      builder_.AppendSlice(format_, plain, at_);
      ++at_;
      BATON_RETURN_IF_ERROR(Conversion());
      plain = at_;
    }
    builder_.AppendSlice(format_, plain, bytes_.size());
    const bool all_used = IsTuple() ? next_ == arguments_.list().items.size()
                                    : next_ > 0 || used_key_ || arguments_.is_dict() ||
                                          arguments_.is_list() || arguments_.is_undefined();
    if (!all_used) return TypeError("not all arguments converted during string formatting");
    return runtime_.MakeText(std::move(builder_));
  }

 private:
  bool IsTuple() const {
    return arguments_.is_list() && arguments_.list().kind == ListKind::kTuple;
  }

  Result<char> Next() {
    if (at_ >= bytes_.size()) return TypeError("incomplete format");
    return bytes_[at_++];
  }

  Result<int> Number() {
    if (at_ < bytes_.size() && bytes_[at_] == '*') {
      ++at_;
      BATON_ASSIGN_OR_RETURN(const Value width, NextArgument());
      if (!width.is_integer()) return TypeError("* wants int");
      if (std::abs(width.integer()) > kWidthMax) return TypeError("width too big");
      return static_cast<int>(width.integer());
    }
    int number = 0;
    while (at_ < bytes_.size() && bytes_[at_] >= '0' && bytes_[at_] <= '9') {
      number = number * 10 + (bytes_[at_++] - '0');
      if (number > kWidthMax) return TypeError("width too big");
    }
    return number;
  }

  Result<Value> NextArgument() {
    if (!IsTuple()) {
      if (next_++ > 0) return TypeError("not enough arguments for format string");
      return arguments_;
    }
    const auto& items = arguments_.list().items;
    if (next_ >= items.size()) return TypeError("not enough arguments for format string");
    return items[next_++];
  }

  Result<Value> Argument(const std::optional<std::string>& key) {
    if (!key) return NextArgument();
    if (!arguments_.is_dict()) return TypeError("format requires a mapping");
    used_key_ = true;
    const Value* value = arguments_.dict().Find(*key);
    if (value == nullptr) return TypeError(fmt::format("no key '{}' to format", *key));
    return *value;
  }

  Result<std::optional<std::string>> Key() {
    if (at_ >= bytes_.size() || bytes_[at_] != '(') return std::optional<std::string>();
    const size_t end = bytes_.find(')', at_);
    if (end == std::string_view::npos) return TypeError("incomplete format key");
    std::string key(bytes_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return std::optional<std::string>(std::move(key));
  }

  void Flags(Spec& spec) {
    for (; at_ < bytes_.size(); ++at_) {
      const char flag = bytes_[at_];
      if (flag == '-')
        spec.align = '<';
      else if (flag == '+')
        spec.sign = '+';
      else if (flag == ' ')
        spec.sign = spec.sign == '+' ? '+' : ' ';
      else if (flag == '#')
        spec.alternate = true;
      else if (flag == '0')
        zero_ = true;
      else
        return;
    }
  }

  Status Conversion() {
    Spec spec;
    zero_ = false;
    BATON_ASSIGN_OR_RETURN(const auto key, Key());
    Flags(spec);
    BATON_ASSIGN_OR_RETURN(const int width, Number());
    if (width < 0) spec.align = '<';
    spec.width = std::abs(width);
    if (at_ < bytes_.size() && bytes_[at_] == '.') {
      ++at_;
      BATON_ASSIGN_OR_RETURN(spec.precision, Number());
    }
    while (at_ < bytes_.size() && (bytes_[at_] == 'l' || bytes_[at_] == 'h' || bytes_[at_] == 'L'))
      ++at_;
    BATON_ASSIGN_OR_RETURN(const char type, Next());
    if (type == '%') {
      builder_.Append("%");
      return OkStatus();
    }
    BATON_ASSIGN_OR_RETURN(const Value value, Argument(key));
    BATON_RETURN_IF_ERROR(runtime_.StepBytes(static_cast<uint64_t>(spec.width)));
    return Convert(type, spec, value);
  }

  Status Convert(char type, Spec spec, const Value& value) {
    if (type == 's' || type == 'r' || type == 'a') return ConvertText(type, spec, value);
    if (type == 'c') return ConvertCharacter(spec, value);
    if (std::string_view("diuxXoeEfFgG").find(type) == std::string_view::npos)
      return TypeError(fmt::format("unsupported format character '{}'", type));
    if (!value.is_number())
      return TypeError(
          fmt::format("%{} format: a number is required, not {}", type, TypeName(value)));
    if (zero_ && spec.align == 0) {
      spec.fill = "0";
      spec.align = '=';
    }
    const bool is_float = std::string_view("eEfFgG").find(type) != std::string_view::npos;
    spec.type =
        is_float || std::string_view("xXo").find(type) != std::string_view::npos ? type : 'd';
    if (is_float) {
      builder_.Append(FormatDouble(value.number(), spec));
      return OkStatus();
    }
    if (value.Is<double>() && (spec.type != 'd' || !(std::fabs(value.number()) < 9e18)))
      return TypeError(fmt::format("%{} format: an integer is required, not float", type));
    const Value whole = value.Is<double>() ? Value(static_cast<int64_t>(value.number())) : value;
    builder_.Append(FormatInteger(whole, spec));
    return OkStatus();
  }

  Status ConvertText(char type, const Spec& spec, const Value& value) {
    if (type == 's' && spec.width == 0 && spec.precision < 0) {
      AppendStr(builder_, value);
      return OkStatus();
    }
    Spec right = spec;
    if (right.align == 0) right.align = '>';
    const std::string text = type == 's' ? Str(value) : Repr(value);
    builder_.AppendDerived(FormatString(text, right), HasUntrusted(value));
    return OkStatus();
  }

  Status ConvertCharacter(const Spec& spec, const Value& value) {
    Spec right = spec;
    if (right.align == 0) right.align = '>';
    if (value.is_integer()) {
      builder_.Append(FormatString(ToUtf8(static_cast<char32_t>(value.integer())), right));
      return OkStatus();
    }
    if (!value.is_text() || CountUtf8(value.bytes()) != 1)
      return TypeError("%c requires int or char");
    builder_.AppendDerived(FormatString(value.bytes(), right), HasUntrusted(value));
    return OkStatus();
  }

  Runtime& runtime_;
  const Text& format_;
  const std::string_view bytes_;
  const Value& arguments_;
  TextBuilder builder_;
  size_t at_ = 0;
  size_t next_ = 0;
  bool used_key_ = false;
  bool zero_ = false;
};

// --- str.format() ---------------------------------------------------------------------------

Result<Spec> ParseSpec(std::string_view text) {
  Spec spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  size_t at = 0;
  if (!text.empty()) {
    const size_t first = Utf8At(text, 0).length;
    if (first < text.size() && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto take = [&](std::string_view any) {
    const bool found = at < text.size() && any.find(text[at]) != std::string_view::npos;
    return found ? text[at++] : '\0';
  };
  const auto number = [&]() -> Result<int> {
    int value = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      value = value * 10 + (text[at++] - '0');
      if (value > kWidthMax) return TypeError("Too many decimal digits in format string");
    }
    return value;
  };
  if (const char sign = take("+- ")) spec.sign = sign;
  spec.alternate = take("#") != '\0';
  if (take("0") != '\0' && spec.align == 0) {
    spec.fill = "0";
    spec.align = '=';
  }
  BATON_ASSIGN_OR_RETURN(spec.width, number());
  spec.grouping = take(",_");
  if (take(".") != '\0') {
    BATON_ASSIGN_OR_RETURN(spec.precision, number());
  }
  spec.type = take("bcdeEfFgGnosxX%");
  if (at != text.size()) return TypeError(fmt::format("Invalid format specifier '{}'", text));
  return spec;
}

Result<std::string> FormatWithSpec(const Value& value, std::string_view text) {
  BATON_ASSIGN_OR_RETURN(const Spec spec, ParseSpec(text));
  const auto unknown = [&] {
    return TypeError(fmt::format("Unknown format code '{}' for object of type '{}'", spec.type,
                                 TypeName(value)));
  };
  const bool float_type = std::string_view("eEfFgGn%").find(spec.type) != std::string_view::npos;
  if (value.is_number()) {
    if (value.Is<bool>() && text.empty()) return Str(value);
    if (spec.type == 's') return unknown();
    if (value.Is<double>() || (spec.type != 0 && float_type)) {
      if (spec.type != 0 && !float_type) return unknown();
      return FormatDouble(value.number(), spec);
    }
    if (spec.precision >= 0) return TypeError("Precision not allowed in integer format specifier");
    if (spec.type == 'c' && value.is_large()) return TypeError("%c arg not in range(0x110000)");
    if (spec.type == 'c') return FormatString(ToUtf8(static_cast<char32_t>(value.integer())), spec);
    return FormatInteger(value, spec);
  }
  if (!value.is_text() && !text.empty())
    return TypeError(
        fmt::format("unsupported format string passed to {}.__format__", TypeName(value)));
  if (spec.type != 0 && spec.type != 's') return unknown();
  if (spec.align == '=') return TypeError("'=' alignment not allowed in string format specifier");
  return FormatString(Str(value), spec);
}

class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const Text& format, const Arguments& arguments)
      : runtime_(runtime), format_(format), bytes_(format.bytes()), arguments_(arguments) {}

  Result<Value> Run() {
    size_t at = 0;
    while (at < bytes_.size()) {
      const size_t brace = std::min(bytes_.find_first_of("{}", at), bytes_.size());
      builder_.AppendSlice(format_, at, brace);
      if (brace == bytes_.size()) break;
      if (brace + 1 < bytes_.size() && bytes_[brace + 1] == bytes_[brace]) {
        builder_.AppendSlice(format_, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (bytes_[brace] == '}') return TypeError("Single '}' encountered in format string");
      const size_t end = EndOfField(brace + 1);
      if (end == std::string_view::npos) return TypeError("expected '}' before end of string");
      BATON_RETURN_IF_ERROR(Field(bytes_.substr(brace + 1, end - brace - 1)));
      at = end + 1;
    }
    return runtime_.MakeText(std::move(builder_));
  }

 private:
  size_t EndOfField(size_t at) const {
    for (int nested = 0; at < bytes_.size(); ++at) {
      if (bytes_[at] == '{') ++nested;
      if (bytes_[at] == '}' && nested-- == 0) return at;
    }
    return std::string_view::npos;
  }

  Status Field(std::string_view field) {
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view spec = colon < field.size() ? field.substr(colon + 1) : "";
    std::string_view name = field.substr(0, colon);
    char conversion = 0;
    if (const size_t mark = name.find('!'); mark != std::string_view::npos) {
      if (mark + 2 != name.size()) return TypeError("invalid conversion in format string");
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    BATON_ASSIGN_OR_RETURN(const Value value, Lookup(name));
    BATON_ASSIGN_OR_RETURN(const std::string resolved, ResolveNested(spec));
    if (conversion != 0 && conversion != 's' && conversion != 'r' && conversion != 'a')
      return TypeError(fmt::format("Unknown conversion specifier {}", conversion));
    if (resolved.empty() && (conversion == 0 || conversion == 's')) {
      AppendStr(builder_, value);
      return OkStatus();
    }
    const Value shown = conversion == 0     ? value
                        : conversion == 's' ? runtime_.MakeText(Str(value))
                                            : runtime_.MakeText(Repr(value));
    BATON_ASSIGN_OR_RETURN(const std::string text, FormatWithSpec(shown, resolved));
    BATON_RETURN_IF_ERROR(runtime_.StepBytes(text.size()));
    builder_.AppendDerived(text, HasUntrusted(value));
    return OkStatus();
  }

  // "{:{width}}": one level, as Python allows two.
  Result<std::string> ResolveNested(std::string_view spec) {
    std::string resolved;
    while (!spec.empty()) {
      const size_t open = std::min(spec.find('{'), spec.size());
      resolved += spec.substr(0, open);
      spec.remove_prefix(open);
      if (spec.empty()) break;
      const size_t close = spec.find('}');
      if (close == std::string_view::npos) return TypeError("expected '}' before end of string");
      BATON_ASSIGN_OR_RETURN(const Value value, Lookup(spec.substr(1, close - 1)));
      resolved += Str(value);
      spec.remove_prefix(close + 1);
    }
    return resolved;
  }

  Result<Value> Lookup(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    BATON_ASSIGN_OR_RETURN(Value value, LookupFirst(name.substr(0, end)));
    for (std::string_view rest = name.substr(end); !rest.empty();) {
      const bool index = rest[0] == '[';
      const size_t stop =
          index ? rest.find(']') : std::min(rest.find_first_of(".[", 1), rest.size());
      if (stop == std::string_view::npos) return TypeError("expected ']' in format string");
      const std::string key(rest.substr(1, stop - 1));
      BATON_ASSIGN_OR_RETURN(value, index ? GetItem(runtime_, value, KeyValue(key))
                                          : GetAttribute(runtime_, value, key));
      rest.remove_prefix(index ? stop + 1 : stop);
    }
    return value;
  }

  Value KeyValue(const std::string& key) {
    const bool digits =
        !key.empty() && key.size() < 10 &&
        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    return digits ? Value(int64_t{std::stoll(key)}) : runtime_.MakeText(key);
  }

  Result<Value> LookupFirst(std::string_view name) {
    const bool digits = !name.empty() && std::all_of(name.begin(), name.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    numbered_by_hand_ |= digits;
    if (numbered_by_hand_ && (name.empty() || next_ > 0))
      return TypeError("cannot mix automatic and manual field numbering");
    if (name.empty()) return Positional(next_++);
    if (digits) {
      size_t index = 0;
      std::from_chars(name.data(), name.data() + name.size(), index);
      return Positional(index);
    }
    const Value* value = arguments_.FindNamed(name);
    if (value == nullptr) return TypeError(fmt::format("no argument '{}' to format", name));
    return *value;
  }

  Result<Value> Positional(size_t index) const {
    if (index >= arguments_.positional.size())
      return TypeError(
          fmt::format("Replacement index {} out of range for positional args tuple", index));
    return arguments_.positional[index];
  }

  Runtime& runtime_;
  const Text& format_;
  const std::string_view bytes_;
  const Arguments& arguments_;
  TextBuilder builder_;
  size_t next_ = 0;
  bool numbered_by_hand_ = false;
};

}  // namespace

std::string FormatFloat(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                 std::chars_format::scientific)
                       .ptr;
  std::string text(buffer.data(), end);
  const size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return text;
  std::string digits = text.substr(0, e);
  const bool negative = digits[0] == '-';
  std::erase_if(digits, [](char c) { return c == '.' || c == '-'; });
  if (exponent < 0) {
    digits = "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  } else {
    const auto whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() <= whole)
      digits += std::string(whole - digits.size(), '0') + ".0";
    else
      digits.insert(whole, ".");
  }
  return (negative ? "-" : "") + digits;
}

std::string Repr(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "None";
  if (value.Is<bool>()) return value.As<bool>() ? "True" : "False";
  if (value.Is<int64_t>()) return fmt::format("{}", value.As<int64_t>());
  if (value.is_large()) return fmt::format("{}", value.large());
  if (value.Is<double>()) return FormatFloat(value.As<double>());
  if (value.is_text()) return ReprText(value.bytes());
  if (value.is_list()) return ReprList(value.list());
  if (value.is_dict()) return ReprDict(value.dict());
  if (value.Is<FunctionPtr>()) return fmt::format("<function {}>", value.As<FunctionPtr>()->name);
  if (value.Is<LoopPtr>())
    return fmt::format("<LoopContext {}/{}>", value.As<LoopPtr>()->index0 + 1,
                       value.As<LoopPtr>()->items.size());
  return "<Namespace>";
}

std::string Str(const Value& value) {
  if (value.is_text()) return value.bytes();
  return value.is_undefined() ? "" : Repr(value);
}

Value ToText(Runtime& runtime, const Value& value) {
  if (value.is_text()) return value;
  TextBuilder builder;
  AppendStr(builder, value);
  return runtime.MakeText(std::move(builder));
}

void AppendStr(TextBuilder& builder, const Value& value) {
  if (value.is_text())
    builder.Append(value.text());
  else
    builder.AppendDerived(Str(value), HasUntrusted(value));
}

Result<Value> PercentFormat(Runtime& runtime, const Text& format, const Value& arguments) {
  return PercentFormatter(runtime, format, arguments).Run();
}

Result<Value> BraceFormat(Runtime& runtime, const Text& format, const Arguments& arguments) {
  return BraceFormatter(runtime, format, arguments).Run();
}

}  // namespace baton::jinja
