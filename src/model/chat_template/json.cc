#include "model/chat_template/json.h"

#include <algorithm>
#include <cmath>

#include "model/chat_template/python_format.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

bool IsKnownRole(std::string_view role) {
  constexpr std::string_view kRoles[] = {"developer", "system", "user",
                                         "assistant", "tool",   "function"};
  return std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles);
}

Value UntrustedText(Runtime& runtime, std::string_view bytes) {
  TextBuilder builder;
  builder.AppendDerived(bytes, true);
  return runtime.MakeText(std::move(builder));
}

std::string FloatToJson(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return FormatFloat(number);
}

std::string EscapeUtf16(char32_t c) {
  if (c < 0x10000) return fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  const uint32_t offset = c - 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (offset >> 10), 0xDC00 + (offset & 0x3FF));
}

std::string QuoteCharacter(char32_t c, bool ascii) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    default:
      break;
  }
  return c < 0x20 || (ascii && c > 0x7E) ? EscapeUtf16(c) : ToUtf8(c);
}

std::string Quote(std::string_view text, bool ascii) {
  std::string quoted = "\"";
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    quoted += QuoteCharacter(character.code_point, ascii);
    at += character.length;
  }
  return quoted + "\"";
}

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style) : runtime_(runtime), style_(style) {}

  Status Write(const Value& value) {
    BATON_RETURN_IF_ERROR(runtime_.Step());
    if (value.is_none())
      out_ += "null";
    else if (value.Is<bool>())
      out_ += value.As<bool>() ? "true" : "false";
    else if (value.is_whole())
      out_ += Repr(value);
    else if (value.Is<double>())
      out_ += FloatToJson(value.number());
    else if (value.is_text())
      return WriteText(value.bytes());
    else if (value.is_dict())
      return WriteDict(value.dict());
    else if (IsArray(value))
      return WriteArray(value.list());
    else
      return TypeError(fmt::format("Object of type {} is not JSON serializable", TypeName(value)));
    return OkStatus();
  }
  std::string Take() && { return std::move(out_); }

 private:
  static bool IsArray(const Value& value) {
    return value.is_list() &&
           (value.list().kind == ListKind::kList || value.list().kind == ListKind::kTuple);
  }

  Status WriteText(const std::string& text) {
    BATON_RETURN_IF_ERROR(runtime_.StepBytes(text.size() * 4));
    out_ += Quote(text, style_.ascii);
    return runtime_.heap.Reserve(out_.size());
  }

  void NewLine() {
    if (!style_.indent) return;
    out_ += '\n';
    for (int i = 0; i < level_; ++i) out_ += *style_.indent;
  }

  void Separate(bool first) {
    if (!first) out_ += style_.item_separator;
    NewLine();
  }

  Status WriteArray(const List& list) {
    if (list.items.empty()) {
      out_ += "[]";
      return OkStatus();
    }
    out_ += '[';
    ++level_;
    for (size_t i = 0; i < list.items.size(); ++i) {
      Separate(i == 0);
      BATON_RETURN_IF_ERROR(Write(list.items[i]));
    }
    --level_;
    NewLine();
    out_ += ']';
    return runtime_.heap.Reserve(out_.size());
  }

  Result<std::string> KeyText(const Value& key) const {
    if (key.is_text()) return key.bytes();
    if (key.is_none()) return std::string("null");
    if (key.Is<bool>()) return std::string(key.As<bool>() ? "true" : "false");
    if (key.is_whole()) return Repr(key);
    if (key.Is<double>()) return FloatToJson(key.number());
    return TypeError(
        fmt::format("keys must be str, int, float, bool or None, not {}", TypeName(key)));
  }

  Status WriteDict(const Dict& dict) {
    if (dict.entries().empty()) {
      out_ += "{}";
      return OkStatus();
    }
    std::vector<std::pair<std::string, const Value*>> entries;
    for (const auto& [key, value] : dict.entries()) {
      BATON_ASSIGN_OR_RETURN(std::string text, KeyText(key));
      entries.emplace_back(std::move(text), &value);
    }
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    out_ += '{';
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      Separate(i == 0);
      BATON_RETURN_IF_ERROR(WriteText(entries[i].first));
      out_ += style_.key_separator;
      BATON_RETURN_IF_ERROR(Write(*entries[i].second));
    }
    --level_;
    NewLine();
    out_ += '}';
    return runtime_.heap.Reserve(out_.size());
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  std::string out_;
  int level_ = 0;
};

}  // namespace

Value FromJson(Runtime& runtime, const boost::json::value& json) {
  switch (json.kind()) {
    case boost::json::kind::null:
      return Value(None{});
    case boost::json::kind::bool_:
      return Value(json.get_bool());
    case boost::json::kind::int64:
      return Value(json.get_int64());
    case boost::json::kind::uint64:
      return Value(LargeInteger{json.get_uint64()});  // one that fits 63 bits is kind::int64
    case boost::json::kind::double_:
      return Value(json.get_double());
    case boost::json::kind::string:
      return UntrustedText(runtime, json.get_string());
    case boost::json::kind::array: {
      std::vector<Value> items;
      items.reserve(json.get_array().size());
      for (const auto& item : json.get_array()) items.push_back(FromJson(runtime, item));
      return runtime.MakeList(std::move(items));
    }
    case boost::json::kind::object: {
      const auto dict = runtime.NewDict();
      for (const auto& entry : json.get_object())
        dict->Set(UntrustedText(runtime, entry.key()), FromJson(runtime, entry.value()));
      return Value(DictPtr(dict));
    }
  }
  return Value(None{});
}

Value MessagesFromJson(Runtime& runtime, const boost::json::value& messages) {
  if (!messages.is_array()) return FromJson(runtime, messages);
  std::vector<Value> items;
  items.reserve(messages.get_array().size());
  for (const auto& message : messages.get_array()) {
    if (!message.is_object()) {
      items.push_back(FromJson(runtime, message));
      continue;
    }
    const auto dict = runtime.NewDict();
    for (const auto& entry : message.get_object()) {
      const bool trusted = entry.key() == "role" && entry.value().is_string() &&
                           IsKnownRole(entry.value().get_string());
      dict->Set(UntrustedText(runtime, entry.key()),
                trusted ? runtime.MakeText(std::string(entry.value().get_string()))
                        : FromJson(runtime, entry.value()));
    }
    items.emplace_back(DictPtr(dict));
  }
  return runtime.MakeList(std::move(items));
}

Result<std::string> ToJson(Runtime& runtime, const Value& value, const JsonStyle& style) {
  JsonWriter writer(runtime, style);
  BATON_RETURN_IF_ERROR(writer.Write(value));
  return std::move(writer).Take();
}

}  // namespace baton::jinja
