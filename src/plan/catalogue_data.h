// The files of lab/catalogue/ as cmake/Catalogue.cmake compiles them in.
#pragma once

#include <string_view>
#include <vector>

namespace baton::plan {

struct CatalogueText {
  std::string_view id;  // the file's name without ".toml"
  std::string_view text;
};
const std::vector<CatalogueText>& CatalogueTexts();

}  // namespace baton::plan
