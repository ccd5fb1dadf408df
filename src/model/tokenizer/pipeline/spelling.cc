#include "model/tokenizer/pipeline/spelling.h"

#include "model/tokenizer/byte_characters.h"
#include "model/tokenizer/pipeline/json_fields.h"

namespace baton {
namespace {

using boost::json::object;

constexpr int kDepthMax = 16;
constexpr size_t kReplacementsMax = 64;
constexpr size_t kReplacementBytesMax = 64;
// A token that has become longer is left as it is: replacements could feed one another for ever.
constexpr size_t kSpelledBytesMax = 4096;

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string replaced;
  while (true) {
    const size_t at = text.find(from);
    replaced += text.substr(0, at);
    if (at == std::string_view::npos) return replaced;
    replaced += to;
    text.remove_prefix(at + from.size());
  }
}

}  // namespace

Result<Spelling> Spelling::FromJson(const boost::json::value& json) {
  Spelling spelling;
  BATON_RETURN_IF_ERROR(spelling.Add(json, 0));
  return spelling;
}

Spelling Spelling::OfBytes() {
  Spelling spelling;
  spelling.bytes_as_characters_ = true;
  return spelling;
}

Spelling Spelling::OfSpaceMarks(bool strips_space) {
  Spelling spelling;
  spelling.replacements_.emplace_back("\u2581", " ");
  spelling.byte_fallback_ = true;
  spelling.strips_space_ = strips_space;
  return spelling;
}

Status Spelling::Add(const boost::json::value& json, int depth) {
  BATON_ASSIGN_OR_RETURN(const object* fields, json_fields::Object(json, "decoder"));
  BATON_ASSIGN_OR_RETURN(const std::string type, json_fields::String(*fields, "type"));
  if (depth > kDepthMax || replacements_.size() > kReplacementsMax)
    return MakeError(Code::kInvalidArgument, "there are too many decoders");
  if (type == "Sequence") {
    BATON_ASSIGN_OR_RETURN(const auto* items, json_fields::Array(*fields, "decoders"));
    for (const auto& item : *items) BATON_RETURN_IF_ERROR(Add(item, depth + 1));
    return OkStatus();
  }
  if (type == "Replace") return AddReplace(*fields);
  if (type == "Strip") return AddStrip(*fields);
  if (type == "Metaspace") return AddMetaspace(*fields);
  if (type == "Fuse") return OkStatus();  // a text is all of its tokens, anyway
  if (type == "ByteLevel") {
    bytes_as_characters_ = true;
  } else if (type == "ByteFallback") {
    byte_fallback_ = true;
  } else {
    return MakeError(Code::kUnimplemented, "decoder '{}' is not supported", type);
  }
  return OkStatus();
}

Status Spelling::AddReplace(const object& fields) {
  const boost::json::value* pattern = json_fields::Find(fields, "pattern");
  if (pattern == nullptr) return MakeError(Code::kInvalidArgument, "'pattern' is missing");
  BATON_ASSIGN_OR_RETURN(const object* kinds, json_fields::Object(*pattern, "pattern"));
  if (!kinds->contains("String"))
    return MakeError(Code::kUnimplemented,
                     "a decoder that replaces anything but a 'String' is not "
                     "supported");
  BATON_ASSIGN_OR_RETURN(std::string from, json_fields::String(*kinds, "String"));
  BATON_ASSIGN_OR_RETURN(std::string to, json_fields::String(fields, "content"));
  if (from.empty() || to.size() > kReplacementBytesMax)
    return MakeError(Code::kInvalidArgument, "a decoder replaces '{}' by {} bytes", from,
                     to.size());
  replacements_.emplace_back(std::move(from), std::move(to));
  return OkStatus();
}

// Only what undoes a space in front.
Status Spelling::AddStrip(const object& fields) {
  BATON_ASSIGN_OR_RETURN(const std::string content, json_fields::String(fields, "content"));
  BATON_ASSIGN_OR_RETURN(const int64_t start, json_fields::Integer(fields, "start"));
  BATON_ASSIGN_OR_RETURN(const int64_t stop, json_fields::Integer(fields, "stop"));
  if (content != " " || start < 0 || start > 1 || stop != 0)
    return MakeError(Code::kUnimplemented,
                     "a decoder that strips {} and {} times '{}' is not supported", start, stop,
                     content);
  strips_space_ = strips_space_ || start == 1;
  return OkStatus();
}

Status Spelling::AddMetaspace(const object& fields) {
  BATON_ASSIGN_OR_RETURN(std::string mark, json_fields::StringOr(fields, "replacement", "\u2581"));
  BATON_ASSIGN_OR_RETURN(const bool adds, json_fields::BoolOr(fields, "add_prefix_space", true));
  BATON_ASSIGN_OR_RETURN(
      const std::string scheme,
      json_fields::StringOr(fields, "prepend_scheme", adds ? "always" : "never"));
  if (mark.empty()) return MakeError(Code::kInvalidArgument, "'replacement' is empty");
  replacements_.emplace_back(std::move(mark), " ");
  strips_space_ = strips_space_ || scheme != "never";
  return OkStatus();
}

std::string Spelling::Spell(std::string_view stored_text) const {
  std::string text(stored_text);
  for (const auto& [from, to] : replacements_) {
    if (text.size() <= kSpelledBytesMax) text = ReplaceAll(text, from, to);
  }
  return bytes_as_characters_ ? CharactersAsBytes(text) : text;
}

}  // namespace baton
