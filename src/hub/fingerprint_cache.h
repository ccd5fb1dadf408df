// Remembers the fingerprints of model files by path, size, time and inode, so that asking "who has
// this model" does not read every file each time.
#pragma once

#include <map>
#include <string>

#include "base/mutex.h"
#include "base/result.h"
#include "os/file.h"

namespace baton::hub {

// Any thread. The cache file is a convenience: one that is absent, damaged or read-only costs time,
// never correctness.
class FingerprintCache {
 public:
  // `path` is the cache file; empty keeps it in memory alone.
  explicit FingerprintCache(std::string path);

  // The model's fingerprint (model/fingerprint.h). Computes and remembers it where the file
  // changed.
  Result<std::string> Get(const std::string& model_path);

 private:
  struct Entry {
    os::FileStamp stamp;
    std::string fingerprint;
  };
  std::string ToJson() const BATON_REQUIRES(mutex_);

  const std::string path_;
  Mutex mutex_;
  std::map<std::string, Entry> entries_ BATON_GUARDED_BY(mutex_);
};

}  // namespace baton::hub
