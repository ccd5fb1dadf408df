// What the model card of a folder (README.md, with YAML between two lines of "---" in front) says.
#pragma once

#include <string>
#include <string_view>

namespace baton::safetensors {

// Its `license`, or where that is "other" its `license_name`; empty where it has none. Any bytes.
std::string LicenseIn(std::string_view card);

}  // namespace baton::safetensors
