#include "os/worker.h"

#include "os/system.h"

namespace baton::os {

Worker::Worker(const char* name, size_t capacity)
    : queue_(capacity), thread_([this, name] {
        NameThisThread(name);
        while (const auto task = queue_.Pop()) {
          if (!stopping_) (*task)();
        }
      }) {}

Worker::~Worker() {
  stopping_ = true;
  queue_.Close();
  thread_.join();
}

}  // namespace baton::os
