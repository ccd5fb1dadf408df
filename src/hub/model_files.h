// The files that make a model: one, the parts of a split GGUF, or those of a folder.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "os/file.h"

namespace baton::hub {

// `path` as Checkpoint::Open takes it. Paths of files that should be there, too, but are not.
Result<std::vector<std::string>> FilesOfModel(const std::string& path);

// One stamp of all of them, which changes when any of them does; the size is theirs together.
Result<os::FileStamp> StampOfModel(const std::string& path);

}  // namespace baton::hub
