// Mutex, MutexLock and CondVar with clang's thread-safety annotations: a lock names what it guards
// and `make check` verifies the name. Locks do not nest and are never held across a callback, a
// send or a device wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define BATON_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define BATON_THREAD_ANNOTATION(x)
#endif

#define BATON_CAPABILITY(x) BATON_THREAD_ANNOTATION(capability(x))
#define BATON_SCOPED_CAPABILITY BATON_THREAD_ANNOTATION(scoped_lockable)
#define BATON_GUARDED_BY(x) BATON_THREAD_ANNOTATION(guarded_by(x))
#define BATON_REQUIRES(...) BATON_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define BATON_EXCLUDES(...) BATON_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define BATON_ACQUIRE(...) BATON_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define BATON_RELEASE(...) BATON_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define BATON_NO_THREAD_SAFETY_ANALYSIS BATON_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace baton {

class BATON_CAPABILITY("mutex") Mutex {
 public:
  void Lock() BATON_ACQUIRE() { mutex_.lock(); }
  void Unlock() BATON_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class BATON_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) BATON_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() BATON_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  void Wait(Mutex& mutex) BATON_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False if the deadline passed first.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point deadline)
      BATON_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool signalled = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return signalled;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace baton
