#include "hub/name.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace baton::hub {
namespace {

constexpr size_t kNameBytesMax = 512;
constexpr size_t kPartBytesMax = 96;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsPart(std::string_view part, bool is_host) {
  if (part.empty() || part.size() > kPartBytesMax) return false;
  if (!IsAlphanumeric(part[0]) && part[0] != '_') return false;
  if (part.find("..") != std::string_view::npos) return false;
  return std::all_of(part.begin(), part.end(), [is_host](char c) {
    return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-' || (is_host && c == ':');
  });
}

std::vector<std::string_view> SplitSlashes(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t slash = text.find('/');
    parts.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    text.remove_prefix(slash + 1);
  }
}

Error Refuse(std::string_view text) {
  return MakeError(Code::kInvalidArgument, "'{}' is not a model name",
                   log::Escape(text.substr(0, kNameBytesMax)));
}

}  // namespace

Result<ModelName> ParseModelName(std::string_view text) {
  if (text.empty() || text.size() > kNameBytesMax) return Refuse(text);
  std::vector<std::string_view> parts = SplitSlashes(text);
  if (parts.size() > 3) return Refuse(text);
  ModelName name;
  const size_t colon = parts.back().find(':');
  if (colon != std::string_view::npos) {
    name.tag = parts.back().substr(colon + 1);
    if (!IsPart(name.tag, false)) return Refuse(text);
    parts.back() = parts.back().substr(0, colon);
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!IsPart(parts[i], parts.size() == 3 && i == 0)) return Refuse(text);
  }
  name.model = parts.back();
  if (parts.size() == 1) return name;
  name.organisation = parts[parts.size() - 2];
  name.kind = NameKind::kOllama;
  if (parts.size() == 3) name.host = parts[0];
  if (name.host == "hf.co" || name.host == "huggingface.co") name.kind = NameKind::kHuggingFace;
  return name;
}

}  // namespace baton::hub
