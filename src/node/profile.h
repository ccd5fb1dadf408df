// The device profile of this machine: measured once, then read from a cache that is valid for the
// same processor, instruction set, number of threads and program.
#pragma once

#include <string>

#include "base/result.h"
#include "os/clock.h"
#include "plan/profile.h"

namespace baton::node {

struct ProfileOptions {
  int threads = 0;
  std::string kernels;
  std::string cache_path;        // empty: measure every time
  std::string software_version;  // part of the cache's key
};

// Name and memory as they are now, and the rates if they are cached: see measured().
Result<plan::DeviceProfile> KnownProfile(const ProfileOptions& options);
// All of it: measures, which takes up to about 8 s, and caches the result.
Result<plan::DeviceProfile> MeasureProfile(const ProfileOptions& options, const os::Clock& clock);
// What DeviceProfile::reading_bytes_per_s would be if it were measured now.
Result<double> ReadingNow(const ProfileOptions& options, const os::Clock& clock);
// The same from `begin` to `end`, when other nodes of this machine read, too.
Result<double> ReadingBetween(const ProfileOptions& options, const os::Clock& clock,
                              os::TimePoint begin, os::TimePoint end);

}  // namespace baton::node
