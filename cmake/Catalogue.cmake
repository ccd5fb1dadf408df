# Compiles lab/catalogue/*.toml into baton_plan: a program that is moved elsewhere keeps them.
file(GLOB catalogue_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lab/catalogue/*.toml)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${catalogue_files})
set(catalogue_entries "")
foreach(file ${catalogue_files})
  get_filename_component(id ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND catalogue_entries "      {\"${id}\", R\"toml(${text})toml\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/plan/catalogue_data.cc @ONLY CONTENT
"#include \"plan/catalogue_data.h\"

namespace baton::plan {

const std::vector<CatalogueText>& CatalogueTexts() {
  static const std::vector<CatalogueText> texts = {
@catalogue_entries@  };
  return texts;
}

}  // namespace baton::plan
")
target_sources(baton_plan PRIVATE ${CMAKE_BINARY_DIR}/generated/plan/catalogue_data.cc)
