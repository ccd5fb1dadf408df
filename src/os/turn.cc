#include "os/turn.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace baton::os {

// The program's own file is what all of them have, and needs no place where anybody may write.
Turn::Turn(const std::atomic<bool>& stop, std::chrono::milliseconds most)
    : fd_(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) {
  constexpr std::chrono::milliseconds kPause(20);
  for (std::chrono::milliseconds waited(0); fd_ >= 0 && waited < most && !stop; waited += kPause) {
    held_ = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
    taken_ = !held_ && errno == EWOULDBLOCK;
    if (!taken_) return;
    std::this_thread::sleep_for(kPause);
  }
}

Turn::~Turn() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace baton::os
