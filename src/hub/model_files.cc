#include "hub/model_files.h"

#include <algorithm>

#include "model/gguf/split.h"
#include "model/safetensors/folder.h"

namespace baton::hub {
namespace {

// Mixes numbers so that another order or value of any gives another result (FNV-1a).
class Mixer {
 public:
  void Add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      state_ = (state_ ^ (number >> shift & 255)) * 0x100000001b3;
    }
  }
  uint64_t state() const { return state_; }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace

Result<std::vector<std::string>> FilesOfModel(const std::string& path) {
  if (os::IsDirectory(path)) return safetensors::FilesOf(path);
  const auto part = gguf::ParsePartName(path);
  if (!part) return std::vector<std::string>{path};
  std::vector<std::string> files;
  for (int number = 1; number <= part->count; ++number) files.push_back(part->PathOf(number));
  return files;
}

Result<os::FileStamp> StampOfModel(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const auto files, FilesOfModel(path));
  if (files.size() == 1) return os::StampOf(files[0]);
  os::FileStamp all;
  Mixer mixer;
  for (const std::string& file : files) {
    const auto stamp = os::StampOf(file);  // an absent part is for whoever opens the model
    mixer.Add(stamp.ok() ? stamp->size_bytes : 0);
    mixer.Add(stamp.ok() ? static_cast<uint64_t>(stamp->modified_ns) : 0);
    mixer.Add(stamp.ok() ? stamp->inode : 0);
    if (!stamp.ok()) continue;
    all.size_bytes += stamp->size_bytes;
    all.modified_ns = std::max(all.modified_ns, stamp->modified_ns);
  }
  all.inode = mixer.state() >> 1;  // fits the numbers of JSON readers that have signs
  return all;
}

}  // namespace baton::hub
