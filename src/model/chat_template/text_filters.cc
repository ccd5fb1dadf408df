// Filters that make texts.
#include <algorithm>

#include "model/chat_template/access.h"
#include "model/chat_template/filter_arguments.h"
#include "model/chat_template/json.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/python_format.h"
#include "model/chat_template/text_methods.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

// For filters that, unlike most, do not turn what they get into text.
Status CheckText(const Value& value) {
  BATON_RETURN_IF_ERROR(CheckDefined(value));
  if (value.is_text()) return OkStatus();
  return TypeError(fmt::format("a string is required, not '{}'", TypeName(value)));
}

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
  const int64_t keep = length - static_cast<int64_t>(CountUtf8(end));
  if (keep < 0)
    return TypeError(fmt::format("expected length >= {}, got {}", CountUtf8(end), length));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(WeightOf(value)));
  BATON_ASSIGN_OR_RETURN(const int64_t characters, Length(value));
  if (characters - leeway <= length) return value;  // whatever it is
  BATON_RETURN_IF_ERROR(CheckText(value));
  const Value text = ToText(runtime, value);
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
    const bool letter = IsLetterOrDigit(c.code_point) || c.code_point == '_';
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

// Python's pprint breaks lines behind so many characters, by rules of its own.
constexpr size_t kPprintWidth = 80;

// With the keys of dictionaries in order, as pprint shows them.
Value SortedByKey(Runtime& runtime, const Value& value) {
  if (value.is_list()) {
    std::vector<Value> items;
    for (const Value& item : value.list().items) items.push_back(SortedByKey(runtime, item));
    return runtime.MakeList(std::move(items), value.list().kind);
  }
  if (!value.is_dict()) return value;
  auto entries = value.dict().entries();
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    const auto less = Less(a.first, b.first);
    return less.ok() ? *less : TypeName(a.first) < TypeName(b.first);
  });
  const auto sorted = runtime.NewDict();
  for (const auto& [key, item] : entries) sorted->Set(key, SortedByKey(runtime, item));
  return Value(DictPtr(sorted));
}

Result<Value> Pprint(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("pprint", {}));
  BATON_RETURN_IF_ERROR(runtime.StepOver(value));
  TextBuilder builder;
  const std::string line = Repr(SortedByKey(runtime, value));
  if (CountUtf8(line) > kPprintWidth)
    return MakeError(Code::kUnimplemented, "pprint of more than {} characters is not supported",
                     kPprintWidth);
  builder.AppendDerived(line, HasUntrusted(value));
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

// As a path has it, or as a query.
std::string UrlQuoted(const std::string& text, bool query) {
  const std::string_view plain = query ? "_.-~" : "_.-~/";
  std::string quoted;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (std::isalnum(byte) != 0 || plain.find(c) != std::string::npos)
      quoted += c;
    else
      quoted += query && c == ' ' ? "+" : fmt::format("%{:02X}", byte);
  }
  return quoted;
}

// A text, or the names and values of a query.
Result<Value> UrlEncode(Runtime& runtime, const Value& value, const Arguments& arguments) {
  BATON_RETURN_IF_ERROR(arguments.Bind("urlencode", {}));
  BATON_RETURN_IF_ERROR(runtime.StepBytes(WeightOf(value) * 4));
  std::string encoded;
  const auto add = [&encoded](const Value& name, const Value& of) {
    encoded += fmt::format("{}{}={}", encoded.empty() ? "" : "&", UrlQuoted(Str(name), true),
                           UrlQuoted(Str(of), true));
  };
  if (value.is_dict()) {
    for (const auto& [name, of] : value.dict().entries()) add(name, of);
  } else if (value.is_list()) {
    BATON_ASSIGN_OR_RETURN(const std::vector<Value> pairs, Iterate(runtime, value));
    for (const Value& pair : pairs) {
      BATON_ASSIGN_OR_RETURN(const std::vector<Value> both, Iterate(runtime, pair));
      if (both.size() != 2)
        return TypeError(fmt::format("a query is made of pairs, not of {} values", both.size()));
      add(both[0], both[1]);
    }
  } else {
    encoded = UrlQuoted(Str(value), false);
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

bool IsBlank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
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
    const bool space = IsBlank(line[at]);
    size_t end = at;
    while (end < line.size() && IsBlank(line[end]) == space) ++end;
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

constexpr FilterRow kFilters[] = {
    {"capitalize", CaseFilter<Case::kCapitalize>},
    {"center", Center},
    {"e", EscapeFilter},
    {"escape", EscapeFilter},
    {"forceescape", EscapeFilter},
    {"format", FormatFilter},
    {"indent", Indent},
    {"lower", CaseFilter<Case::kLower>},
    {"pprint", Pprint},
    {"replace", Replace},
    {"safe", Safe},
    {"string", StringFilter},
    {"striptags", StripTags},
    {"title", Title},
    {"tojson", ToJsonFilter},
    {"trim", Trim},
    {"truncate", Truncate},
    {"upper", CaseFilter<Case::kUpper>},
    {"urlencode", UrlEncode},
    {"wordcount", WordCount},
    {"wordwrap", WordWrap},
    {"xmlattr", XmlAttr},
};

}  // namespace

std::span<const FilterRow> TextFilters() {
  return kFilters;
}

}  // namespace baton::jinja
