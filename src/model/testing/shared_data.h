// Test data that only the project's own machines have: beside the checkout, in ../shared/data.
// Tests that want it are skipped, and say so, where it is absent.
#pragma once

#include <string>

#include "os/file.h"

#ifndef BATON_SOURCE_DIR
#define BATON_SOURCE_DIR "."
#endif

namespace baton {

// "" if there is none.
inline std::string SharedDataFolder() {
  const std::string folder = std::string(BATON_SOURCE_DIR) + "/../shared/data";
  return os::Exists(folder) ? folder : "";
}

}  // namespace baton
