#include "model/safetensors/model_card.h"

#include <algorithm>

namespace baton::safetensors {
namespace {

constexpr std::string_view kFence = "---";
constexpr size_t kLicenseBytesMax = 64;

// Takes the first line off `text`, without its end.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// A plain or quoted scalar of one word; empty for all else.
std::string Word(std::string_view value) {
  const auto outer = [](char c) { return c == ' ' || c == '"' || c == '\''; };
  while (!value.empty() && outer(value.front())) value.remove_prefix(1);
  while (!value.empty() && outer(value.back())) value.remove_suffix(1);
  const bool plain =
      value.size() <= kLicenseBytesMax && std::all_of(value.begin(), value.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               c == '.' || c == '_' || c == '-';
      });
  return plain ? std::string(value) : std::string();
}

}  // namespace

std::string LicenseIn(std::string_view card) {
  constexpr std::string_view kLicense = "license:", kName = "license_name:";
  std::string license, name;
  if (TakeLine(card) != kFence) return license;
  while (!card.empty()) {
    const std::string_view line = TakeLine(card);
    if (line == kFence) return license == "other" && !name.empty() ? name : license;
    if (line.starts_with(kLicense)) license = Word(line.substr(kLicense.size()));
    if (line.starts_with(kName)) name = Word(line.substr(kName.size()));
  }
  return {};
}

}  // namespace baton::safetensors
