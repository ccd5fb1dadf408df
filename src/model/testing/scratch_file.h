// A temporary file for one test; removed at the end.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/check.h"
#include "os/file.h"
#include "os/system.h"

namespace baton {

class ScratchFile {
 public:
  ScratchFile() {
    path_ =
        std::filesystem::temp_directory_path() / fmt::format("baton-test-{:016x}", os::RandomU64());
    CHECK(os::WriteFileAtomically(path_, {}).ok());
  }
  explicit ScratchFile(std::span<const uint8_t> bytes) : ScratchFile() {
    CHECK(os::WriteFileAtomically(path_, bytes).ok());
  }
  ScratchFile(const ScratchFile&) = delete;
  ~ScratchFile() { (void)os::RemoveFile(path_).ok(); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace baton
