#include "model/chat_template/filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "model/chat_template/access.h"
#include "model/chat_template/json.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/python_format.h"
#include "model/chat_template/text_methods.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;
using Filter = Result<Value> (*)(Runtime& runtime, const Value& value, const Arguments& arguments);

bool Flag(const std::optional<Value>& value, bool otherwise) {
  return value ? IsTruthy(*value) : otherwise;
}

Result<int64_t> Integer(const std::optional<Value>& value, int64_t otherwise) {
  if (!value || value->is_none()) return otherwise;
  BATON_RETURN_IF_ERROR(CheckDefined(*value));
  if (!value->is_integer())
    return TypeError(fmt::format("an integer is required, not '{}'", TypeName(*value)));
  return value->integer();
}

// For filters that, unlike most, do not turn what they get into text.
Status CheckText(const Value& value) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.is_text()) return OkStatus();
  return TypeError(fmt::format("a string is required, not '{}'", TypeName(value)));
}

std::string TextOr(const std::optional<Value>& value, std::string_view otherwise) {
  return value ? Str(*value) : std::string(otherwise);
}

// `value.a.b.0`: what the parameter `attribute` of many filters names.
Result<Value> Follow(Runtime& runtime, Value value, const Value& attribute) {
  if (!attribute.is_text()) return GetItem(runtime, value, attribute);
  std::string_view path = attribute.bytes();
  while (true) {
    const size_t dot = std::min(path.find('.'), path.size());
    const std::string part(path.substr(0, dot));
    const bool digits =
        !part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    const Value key = digits ? Value(int64_t{std::stoll(part)}) : runtime.MakeText(part);
    BATON_ASSIGN_OR_RETURN(value, GetItem(runtime, value, key));
    if (dot == path.size()) return value;
    path.remove_prefix(dot + 1);
  }
}

// What a filter sorts, groups or compares by: the value or an attribute, in lower case unless
// `case_sensitive`.
Result<Value> KeyOf(Runtime& runtime, const Value& item, const std::optional<Value>& attribute,
                    bool case_sensitive) {
  BATON_RETURN_IF_ERROR(runtime.Step());
  Value key = item;
  if (attribute && !attribute->is_none()) {
    BATON_ASSIGN_OR_RETURN(key, Follow(runtime, item, *attribute));
  }
  if (case_sensitive || !key.is_text()) return key;
  return runtime.MakeText(ToLower(key.bytes()));
}

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

// --- texts ----------------------------------------------------------------------------------

template <Case to>
Result<Value> CaseFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("case filter", {}));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(8 * WeightOf(value)));
  return ChangeCase(runtime, ToText(runtime, value).text(), to);
}

// Appends the word at bytes [begin, end): its first character in upper case, the rest in lower.
void AppendTitled(Runtime& runtime, TextBuilder& builder, const Text& text, size_t begin,
                  size_t end) {
  if (begin == end) return;
  const size_t rest = begin + Utf8At(text.bytes(), begin).length;
  builder.Append(
      ChangeCase(runtime, Slice(runtime, text, begin, rest).text(), Case::kUpper).text());
  builder.Append(ChangeCase(runtime, Slice(runtime, text, rest, end).text(), Case::kLower).text());
}

// Words begin behind white space and -([{<, unlike in str.title().
Result<Value> Title(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("title", {}));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(8 * WeightOf(value)));
  const Value text = ToText(runtime, value);
  TextBuilder builder;
  size_t begin = 0;
  const std::string& bytes = text.bytes();
  for (size_t at = 0; at <= bytes.size();) {
    const bool end = at == bytes.size();
    const Utf8Character c = end ? Utf8Character{} : Utf8At(bytes, at);
    const bool breaks = end || IsSpace(c.code_point) ||
                        std::string_view("-([{<").find(bytes[at]) != std::string_view::npos;
    if (breaks) {
      AppendTitled(runtime, builder, text.text(), begin, at);
      if (end) break;
      builder.AppendSlice(text.text(), at, at + c.length);
      begin = at + c.length;
    }
    at += c.length;
  }
  return runtime.MakeText(std::move(builder));
}

Result<Value> Trim(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("trim", {"chars"}));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(WeightOf(value)));
  const Value text = ToText(runtime, value);
  if (!bound[0] || bound[0]->is_none()) return StripText(runtime, text, nullptr, Side::kBoth);
  const std::string characters = Str(*bound[0]);
  return StripText(runtime, text, &characters, Side::kBoth);
}

Result<Value> Replace(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("replace", {"old", "new", "count"}, 2));
  BATON_ASSIGN_OR_RETURN(const int64_t count, Integer(bound[2], -1));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(WeightOf(value)));
  return ReplaceText(runtime, ToText(runtime, value).text(), ToText(runtime, *bound[0]).text(),
                     ToText(runtime, *bound[1]).text(), count);
}

Result<Value> Center(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("center", {"width"}));
  BATON_ASSIGN_OR_RETURN(const int64_t width, Integer(bound[0], 80));
  return CenterText(runtime, ToText(runtime, value).text(), width);
}

// The lines of `text` without their ends, as byte ranges.
std::vector<Span> LinesOf(std::string_view text) {
  std::vector<Span> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\n') continue;
    const bool carriage = at > begin && text[at - 1] == '\r';
    lines.push_back({begin, at - (carriage ? 1 : 0)});
    begin = at + 1;
  }
  if (begin < text.size()) lines.push_back({begin, text.size()});
  return lines;
}

Result<Value> Indent(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("indent", {"width", "first", "blank"}));
  BATON_RETURN_IF_ERROR(CheckText(value));
  std::string indentation;
  if (bound[0] && bound[0]->is_text()) {
    indentation = bound[0]->bytes();
  } else {
    BATON_ASSIGN_OR_RETURN(const int64_t width, Integer(bound[0], 4));
    BATON_RETURN_IF_ERROR(runtime.heap.Reserve(static_cast<uint64_t>(std::max<int64_t>(0, width))));
    indentation.assign(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
  }
  const Value text = ToText(runtime, value);
  const std::vector<Span> lines = LinesOf(text.bytes() + "\n");
  BATON_RETURN_IF_ERROR(
      runtime.StepBytes(text.bytes().size() + lines.size() * (64 + indentation.size())));
  BATON_RETURN_IF_ERROR(
      runtime.heap.Reserve(text.bytes().size() + lines.size() * indentation.size()));
  TextBuilder builder;
  if (Flag(bound[1], false)) builder.Append(indentation);
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool blank = lines[i].begin == lines[i].end;
    if (i > 0 && (!blank || Flag(bound[2], false))) builder.Append(indentation);
    builder.AppendSlice(text.text(), lines[i].begin, lines[i].end);
    if (i + 1 < lines.size()) builder.Append("\n");
  }
  return runtime.MakeText(std::move(builder));
}

Result<Value> Truncate(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound,
                         arguments.Bind("truncate", {"length", "killwords", "end", "leeway"}));
  BATON_ASSIGN_OR_RETURN(const int64_t length, Integer(bound[0], 255));
  BATON_ASSIGN_OR_RETURN(const int64_t leeway, Integer(bound[3], 5));
  const std::string end = TextOr(bound[2], "...");
  if (!value.is_undefined()) BATON_RETURN_IF_ERROR(CheckText(value));
  const Value text = ToText(runtime, value);
  const int64_t keep = length - static_cast<int64_t>(CountUtf8(end));
  if (keep < 0)
    return TypeError(fmt::format("expected length >= {}, got {}", CountUtf8(end), length));
  if (static_cast<int64_t>(CountUtf8(text.bytes())) - leeway <= length) return text;
  BATON_ASSIGN_OR_RETURN(Value cut,
                         GetSlice(runtime, text, Value(None{}), Value(keep), Value(None{})));
  const size_t space = cut.bytes().rfind(' ');
  if (!Flag(bound[1], false) && space != std::string::npos)
    cut = Slice(runtime, cut.text(), 0, space);
  TextBuilder builder;
  builder.Append(cut.text());
  builder.Append(end);
  return runtime.MakeText(std::move(builder));
}

Result<Value> WordCount(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("wordcount", {}));
  const std::string text = Str(value);
  BATON_RETURN_IF_ERROR(runtime.StepBytes(text.size() * 4));
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character c = Utf8At(text, at);
    const bool letter = (c.code_point < 128) ? std::isalnum(static_cast<int>(c.code_point)) != 0 ||
                                                   c.code_point == '_'
                                             : !IsSpace(c.code_point);
    if (letter && !inside) ++words;
    inside = letter;
    at += c.length;
  }
  return Value(words);
}

Result<Value> FormatFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  if (!arguments.named.empty() && !arguments.positional.empty())
    return TypeError("can't handle positional and keyword arguments at the same time");
  const Value text = ToText(runtime, value);
  BATON_RETURN_IF_ERROR(runtime.StepBytes(text.bytes().size()));
  if (arguments.named.empty())
    return PercentFormat(runtime, text.text(),
                         runtime.MakeList(arguments.positional, ListKind::kTuple));
  const auto dict = runtime.NewDict();
  for (const auto& [key, item] : arguments.named) dict->Set(runtime.MakeText(key), item);
  return PercentFormat(runtime, text.text(), Value(DictPtr(dict)));
}

Result<Value> StringFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("string", {}));
  BATON_RETURN_IF_ERROR(runtime.StepOver(value));
  return ToText(runtime, value);
}

Result<Value> Pprint(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("pprint", {}));
  BATON_RETURN_IF_ERROR(runtime.StepOver(value));
  TextBuilder builder;
  builder.AppendDerived(Repr(value), HasUntrusted(value));
  return runtime.MakeText(std::move(builder));
}

Result<Value> Safe(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("safe", {}));
  BATON_RETURN_IF_ERROR(runtime.StepOver(value));
  TextBuilder builder;
  AppendStr(builder, value);
  Text text = std::move(builder).Build();
  text.markup = true;
  return runtime.MakeText(std::move(text));
}

Result<Value> EscapeFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("escape", {}));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(8 * WeightOf(value)));
  return Escape(runtime, value);
}

Result<Value> UrlEncode(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("urlencode", {}));
  if (value.is_dict() || value.is_list())
    return TypeError("urlencode of a mapping is not supported");
  const std::string text = Str(value);
  BATON_RETURN_IF_ERROR(runtime.StepBytes(text.size() * 4));
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool plain =
        std::isalnum(byte) != 0 || std::string_view("_.-~/").find(c) != std::string::npos;
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  TextBuilder builder;
  builder.AppendDerived(encoded, HasUntrusted(value));
  return runtime.MakeText(std::move(builder));
}

// Without <tags> and <!-- comments -->, entities as characters, white space as single spaces.
Result<Value> StripTags(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("striptags", {}));
  std::string text = Str(value);
  BATON_RETURN_IF_ERROR(runtime.StepBytes(16 * text.size()));
  const auto cut_between = [&text](std::string_view from, std::string_view to) {
    std::string kept;
    for (size_t at = 0; at < text.size();) {
      const size_t begin = text.find(from, at);
      const size_t end = begin == std::string::npos ? begin : text.find(to, begin);
      kept += text.substr(at, end == std::string::npos ? end : begin - at);
      at = end == std::string::npos ? text.size() : end + to.size();
    }
    text = std::move(kept);
  };
  cut_between("<!--", "-->");
  cut_between("<", ">");
  std::string joined;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character c = Utf8At(text, at);
    if (!IsSpace(c.code_point)) joined += text.substr(at, c.length);
    if (IsSpace(c.code_point) && !joined.empty() && joined.back() != ' ') joined += ' ';
    at += c.length;
  }
  if (joined.ends_with(' ')) joined.pop_back();
  constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&lt;", "<"},    {"&gt;", ">"},  {"&#34;", "\""},
      {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [entity, character] : kEntities) {
    for (size_t at = 0; (at = joined.find(entity, at)) != std::string::npos; ++at)
      joined.replace(at, entity.size(), character);
  }
  TextBuilder builder;
  builder.AppendDerived(joined, HasUntrusted(value));
  return runtime.MakeText(std::move(builder));
}

// `line` in rows of at most `width` characters, broken between words.
std::string Wrapped(std::string_view line, size_t width, bool break_words,
                    std::string_view separator) {
  std::string wrapped;
  size_t used = 0;
  const auto start_row = [&] {
    wrapped += separator;
    used = 0;
  };
  std::string spaces;  // that go in front of the next word if it fits
  for (size_t at = 0; at < line.size();) {
    const bool space = line[at] == ' ';
    size_t end = at;
    while (end < line.size() && (line[end] == ' ') == space) ++end;
    std::string_view word = line.substr(at, end - at);
    at = end;
    if (space) {
      spaces = word;
      continue;
    }
    const size_t length = CountUtf8(word);
    if (used > 0 && used + spaces.size() + length > width && length <= width) {
      start_row();
    } else if (used > 0 || !spaces.empty()) {
      wrapped += spaces;
      used += spaces.size();
    }
    spaces.clear();
    for (size_t i = 0; i < word.size();) {
      if (used >= width && break_words) start_row();
      const size_t bytes = Utf8At(word, i).length;
      wrapped += word.substr(i, bytes);
      i += bytes;
      ++used;
    }
  }
  return wrapped;
}

Result<Value> WordWrap(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(
      const Bound bound,
      arguments.Bind("wordwrap", {"width", "break_long_words", "wrapstring", "break_on_hyphens"}));
  BATON_ASSIGN_OR_RETURN(const int64_t width, Integer(bound[0], 79));
  if (width < 1) return TypeError(fmt::format("invalid width {} (must be > 0)", width));
  BATON_RETURN_IF_ERROR(CheckText(value));
  const std::string separator = TextOr(bound[2], "\n");
  const std::string& text = value.bytes();
  BATON_RETURN_IF_ERROR(runtime.StepBytes(text.size() * (16 + separator.size())));
  BATON_RETURN_IF_ERROR(runtime.heap.Reserve(text.size() * (2 + separator.size())));
  std::string wrapped;
  const std::vector<Span> lines = LinesOf(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) wrapped += separator;
    wrapped += Wrapped(std::string_view(text).substr(lines[i].begin, lines[i].end - lines[i].begin),
                       static_cast<size_t>(width), Flag(bound[1], true), separator);
  }
  TextBuilder builder;
  builder.AppendDerived(wrapped, HasUntrusted(value));
  return runtime.MakeText(std::move(builder));
}

Result<Value> XmlAttr(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("xmlattr", {"autospace"}));
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (!value.is_dict())
    return TypeError(fmt::format("'{} object' has no attribute 'items'", TypeName(value)));
  TextBuilder builder;
  for (const auto& [key, item] : value.dict().entries()) {
    if (item.is_none() || item.is_undefined()) continue;
    BATON_RETURN_IF_ERROR(runtime.StepOver(item));
    const std::string name = Str(key);
    if (name.find_first_of(" \t\n\f\r/>=") != std::string::npos)
      return TypeError(fmt::format("Invalid character in attribute name: '{}'", name));
    if (builder.size() > 0 || Flag(bound[0], true)) builder.Append(" ");
    builder.Append(Escape(runtime, key).text());
    builder.Append("=\"");
    builder.Append(Escape(runtime, item).text());
    builder.Append("\"");
  }
  return runtime.MakeText(std::move(builder));
}

Result<Value> ToJsonFilter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_ASSIGN_OR_RETURN(const Bound bound, arguments.Bind("tojson", {"ensure_ascii", "indent",
                                                                      "separators", "sort_keys"}));
  JsonStyle style;
  style.ascii = Flag(bound[0], false);
  style.sort_keys = Flag(bound[3], false);
  if (bound[1] && bound[1]->is_text()) {
    style.indent = bound[1]->bytes();
  } else if (bound[1] && !bound[1]->is_none()) {
    BATON_ASSIGN_OR_RETURN(const int64_t width, Integer(bound[1], 0));
    if (width > 1024) return TypeError(fmt::format("an indentation of {} is too wide", width));
    style.indent = std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
  }
  if (style.indent) style.item_separator.assign(1, ',');
  if (bound[2] && !bound[2]->is_none()) {
    BATON_ASSIGN_OR_RETURN(const std::vector<Value> separators, Iterate(runtime, *bound[2]));
    if (separators.size() != 2) return TypeError("separators must be a pair");
    style.item_separator = Str(separators[0]);
    style.key_separator = Str(separators[1]);
  }
  BATON_ASSIGN_OR_RETURN(const std::string json, ToJson(runtime, value, style));
  TextBuilder builder;
  builder.AppendDerived(json, HasUntrusted(value));
  return runtime.MakeText(std::move(builder));
}

// --- numbers --------------------------------------------------------------------------------

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
  std::optional<int64_t> number;
  if (value.is_integer()) number = value.integer();
  if (value.Is<double>()) number = Truncated(value.number());
  if (value.is_text()) {
    number = ParseInteger(value.bytes(), static_cast<int>(base));
    const auto as_float = number ? std::nullopt : ParseFloat(value.bytes());
    if (as_float) number = Truncated(*as_float);
  }
  if (number) return Value(*number);
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
  if (value.is_integer() && precision >= 0) return Value(value.integer());
  if (precision < 0) {
    const double rounded = std::nearbyint(number * scale) / scale;
    return value.is_integer() ? Value(static_cast<int64_t>(rounded)) : Value(rounded);
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
  if (!value.is_number()) return TypeError("filesizeformat needs a number");
  const bool binary = Flag(bound[0], false);
  const double base = binary ? 1024 : 1000;
  const double bytes = value.number();
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

// --- sequences ------------------------------------------------------------------------------

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
  BATON_ASSIGN_OR_RETURN(std::vector<Keyed> keyed,
                         WithKeys(runtime, value, bound[2], Flag(bound[1], false)));
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
    groups.push_back(
        runtime.MakeList({shown, runtime.MakeList(std::move(members))}, ListKind::kTuple));
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

// --- any value ------------------------------------------------------------------------------

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

struct Row {
  std::string_view name;
  Filter filter;
};
constexpr Row kFilters[] = {
    {"abs", Abs},
    {"attr", Attr},
    {"batch", Batch},
    {"capitalize", CaseFilter<Case::kCapitalize>},
    {"center", Center},
    {"count", LengthFilter},
    {"d", Default},
    {"default", Default},
    {"dictsort", DictSort},
    {"e", EscapeFilter},
    {"escape", EscapeFilter},
    {"filesizeformat", FileSizeFormat},
    {"first", First},
    {"float", FloatFilter},
    {"forceescape", EscapeFilter},
    {"format", FormatFilter},
    {"groupby", GroupBy},
    {"indent", Indent},
    {"int", IntFilter},
    {"items", Items},
    {"join", JoinFilter},
    {"last", Last},
    {"length", LengthFilter},
    {"list", ListFilter},
    {"lower", CaseFilter<Case::kLower>},
    {"map", Map},
    {"max", Max},
    {"min", Min},
    {"pprint", Pprint},
    {"random", NotHere},
    {"reject", Reject},
    {"rejectattr", RejectAttr},
    {"replace", Replace},
    {"reverse", Reverse},
    {"round", Round},
    {"safe", Safe},
    {"select", Select},
    {"selectattr", SelectAttr},
    {"slice", SliceFilter},
    {"sort", Sort},
    {"string", StringFilter},
    {"striptags", StripTags},
    {"sum", Sum},
    {"title", Title},
    {"tojson", ToJsonFilter},
    {"trim", Trim},
    {"truncate", Truncate},
    {"unique", Unique},
    {"upper", CaseFilter<Case::kUpper>},
    {"urlencode", UrlEncode},
    {"urlize", NotHere},
    {"wordcount", WordCount},
    {"wordwrap", WordWrap},
    {"xmlattr", XmlAttr},
};

Filter FindFilter(std::string_view name) {
  for (const Row& row : kFilters) {
    if (row.name == name) return row.filter;
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
