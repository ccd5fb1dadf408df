// A temporary folder for one test; removed at the end with what is in it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "os/file.h"
#include "os/system.h"

namespace baton {

class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("baton-test-{:016x}", os::RandomU64())) {
    CHECK(os::MakeDirectories(path_).ok());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  void Write(std::string_view name, std::string_view text) const {
    CHECK(os::WriteFileAtomically(fmt::format("{}/{}", path_, name), AsBytes(text)).ok());
  }

 private:
  const std::string path_;
};

}  // namespace baton
