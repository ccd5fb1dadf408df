#include "model/tokenizer/pipeline/normalizer.h"

#include <algorithm>
#include <cstdlib>

#include <utf8proc.h>

#include "base/check.h"
#include "model/text/case_mapping.h"
#include "model/text/characters.h"
#include "model/text/utf8.h"
#include "model/tokenizer/pipeline/json_fields.h"
#include "model/tokenizer/pipeline/pattern.h"
#include "model/tokenizer/pipeline/precompiled.h"

namespace baton {
namespace {

using boost::json::object;
using Edits = std::vector<TextEdit>;

constexpr int kDepthMax = 16;
constexpr size_t kStepsMax = 64;

// --- Unicode normal forms ---

struct Form {
  std::string_view name;
  bool compose;
  bool compatible;
};
constexpr Form kForms[] = {
    {"NFC", true, false}, {"NFD", false, false}, {"NFKC", true, true}, {"NFKD", false, true}};

int CombiningClass(utf8proc_int32_t character) {
  return utf8proc_get_property(character)->combining_class;
}

// Runs of marks in order of their class. (utf8proc's own sort takes quadratic time.)
void SortMarks(std::vector<utf8proc_int32_t>& characters) {
  for (auto at = characters.begin(); at != characters.end();) {
    if (CombiningClass(*at) == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, characters.end(),
                                  [](utf8proc_int32_t c) { return CombiningClass(c) == 0; });
    std::stable_sort(at, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return CombiningClass(a) < CombiningClass(b);
    });
    at = end;
  }
}

std::string InForm(std::string_view text, const Form& form) {
  const int options =
      UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (form.compatible ? UTF8PROC_COMPAT : 0);
  std::vector<utf8proc_int32_t> characters;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    utf8proc_int32_t parts[32];
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(character.code_point), parts,
                                std::size(parts), static_cast<utf8proc_option_t>(options), nullptr);
    CHECK(count >= 0 && count <= 32, "{} parts", count);
    characters.insert(characters.end(), parts, parts + count);
    at += character.length;
  }
  SortMarks(characters);
  if (form.compose) {
    const auto length = utf8proc_normalize_utf32(
        characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    characters.resize(static_cast<size_t>(length));
  }
  std::string out;
  for (const utf8proc_int32_t c : characters) out += ToUtf8(static_cast<char32_t>(c));
  return out;
}

// Nothing reaches over an ASCII character from behind: each begins a part of its own.
Edits FormEdits(std::string_view text, const Form& form) {
  Edits edits;
  const auto ascii = [&text](size_t at) { return (text[at] & 0x80) == 0; };
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin + 1;
    while (end < text.size() && !ascii(end)) ++end;
    if (end - begin > 1 || !ascii(begin)) {
      const std::string_view part = text.substr(begin, end - begin);
      std::string normal = InForm(part, form);
      if (normal != part) edits.push_back({begin, end, std::move(normal)});
    }
    begin = end;
  }
  return edits;
}

// --- characters ---

// `change(character)` returns what to put in its place.
template <typename Change>
Edits CharacterEdits(std::string_view text, const Change& change) {
  Edits edits;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    std::string by = change(character.code_point);
    if (by != text.substr(at, character.length))
      edits.push_back({at, at + character.length, std::move(by)});
    at += character.length;
  }
  return edits;
}

std::string Lowered(char32_t character) {
  std::string lower;
  for (const char32_t c : LowerCase(character)) lower += ToUtf8(c);
  return lower;
}

std::string WithoutMark(char32_t character) {
  return IsMark(character) ? std::string() : ToUtf8(character);
}

Edits StripEdits(std::string_view text, bool left, bool right) {
  size_t first_kept = text.size();
  size_t last_kept = text.size();
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    if (!IsWhiteSpace(character.code_point)) {
      first_kept = std::min(first_kept, at);
      last_kept = at + character.length;
    }
    at += character.length;
  }
  if (first_kept == text.size() && !text.empty() && (left || right)) return {{0, text.size(), ""}};
  Edits edits;
  if (left && first_kept > 0) edits.push_back({0, first_kept, ""});
  if (right && last_kept < text.size()) edits.push_back({last_kept, text.size(), ""});
  return edits;
}

Result<Edits> ReplaceEdits(std::string_view text, const Pattern& pattern, const std::string& by) {
  Edits edits;
  Pattern::Finder finder(pattern, text.size());
  BATON_ASSIGN_OR_RETURN(const std::vector<FoundRange> found, finder.FindAll(text));
  if (found.size() * by.size() > NormalizedBytesMax(text.size()))
    return MakeError(Code::kResourceExhausted, "the normalizer puts {} bytes into a text {} times",
                     by.size(), found.size());
  for (const FoundRange& range : found) {
    if (range.matches) edits.push_back({range.begin, range.end, by});
  }
  return edits;
}

}  // namespace

Result<Normalizer> Normalizer::FromJson(const boost::json::value& json) {
  Normalizer normalizer;
  if (!json.is_null()) BATON_RETURN_IF_ERROR(normalizer.Add(json, 0));
  return normalizer;
}

Status Normalizer::Add(const boost::json::value& json, int depth) {
  BATON_ASSIGN_OR_RETURN(const object* fields, json_fields::Object(json, "normalizer"));
  BATON_ASSIGN_OR_RETURN(const std::string type, json_fields::String(*fields, "type"));
  if (depth > kDepthMax || steps_.size() > kStepsMax)
    return MakeError(Code::kInvalidArgument, "there are too many normalizers");
  if (type == "Sequence") {
    BATON_ASSIGN_OR_RETURN(const auto* items, json_fields::Array(*fields, "normalizers"));
    for (const auto& item : *items) BATON_RETURN_IF_ERROR(Add(item, depth + 1));
    return OkStatus();
  }
  for (const Form& form : kForms) {
    if (type != form.name) continue;
    steps_.push_back(
        {[&form](std::string_view text) -> Result<Edits> { return FormEdits(text, form); }});
    return OkStatus();
  }
  if (type == "Lowercase") {
    steps_.push_back(
        {[](std::string_view text) -> Result<Edits> { return CharacterEdits(text, Lowered); }});
  } else if (type == "StripAccents") {
    steps_.push_back(
        {[](std::string_view text) -> Result<Edits> { return CharacterEdits(text, WithoutMark); }});
  } else if (type == "Strip") {
    BATON_ASSIGN_OR_RETURN(const bool left, json_fields::BoolOr(*fields, "strip_left", true));
    BATON_ASSIGN_OR_RETURN(const bool right, json_fields::BoolOr(*fields, "strip_right", true));
    steps_.push_back({[left, right](std::string_view text) -> Result<Edits> {
      return StripEdits(text, left, right);
    }});
  } else if (type == "Prepend") {
    BATON_ASSIGN_OR_RETURN(const std::string front, json_fields::String(*fields, "prepend"));
    steps_.push_back({[front](std::string_view text) -> Result<Edits> {
                        return text.empty() ? Edits() : Edits{{0, 0, front}};
                      },
                      true});
  } else if (type == "Replace") {
    BATON_ASSIGN_OR_RETURN(Pattern parsed, Pattern::FromJson(*fields));
    BATON_ASSIGN_OR_RETURN(const std::string by, json_fields::String(*fields, "content"));
    const auto pattern = std::make_shared<const Pattern>(std::move(parsed));
    steps_.push_back({[pattern, by](std::string_view text) -> Result<Edits> {
      return ReplaceEdits(text, *pattern, by);
    }});
  } else if (type == "Precompiled") {
    BATON_ASSIGN_OR_RETURN(const std::string blob,
                           json_fields::String(*fields, "precompiled_charsmap"));
    BATON_ASSIGN_OR_RETURN(Precompiled parsed, Precompiled::FromBase64(blob));
    const auto precompiled = std::make_shared<const Precompiled>(std::move(parsed));
    steps_.push_back({[precompiled](std::string_view text) -> Result<Edits> {
      return precompiled->Edits(text);
    }});
  } else {
    return MakeError(Code::kUnimplemented, "normalizer '{}' is not supported", type);
  }
  return OkStatus();
}

Result<MarkedText> Normalizer::Apply(MarkedText text, bool begins) const {
  const size_t bytes_max = NormalizedBytesMax(text.bytes.size());
  for (const Step& step : steps_) {
    if (step.only_at_begin && !begins) continue;
    BATON_ASSIGN_OR_RETURN(const Edits edits, step.edits(text.bytes));
    if (edits.empty()) continue;
    BATON_ASSIGN_OR_RETURN(text, text.Edited(edits, bytes_max));
  }
  return text;
}

}  // namespace baton
