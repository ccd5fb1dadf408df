#include "os/system.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

namespace baton::os {
namespace {

// The number behind "KEY:" in a /proc file of "KEY: N kB" lines, in bytes.
uint64_t ProcValue(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind(key + ":", 0) == 0)
      return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
  }
  return 0;
}

// A cgroup v2 file that holds one number or "max"; `fallback` where there is none.
uint64_t CgroupValue(const char* path, uint64_t fallback) {
  std::ifstream file(path);
  uint64_t value;
  return file >> value ? value : fallback;
}

}  // namespace

MemoryInfo SystemMemory() {
  MemoryInfo info{ProcValue("/proc/meminfo", "MemTotal"),
                  ProcValue("/proc/meminfo", "MemAvailable")};
  constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
  const uint64_t limit = CgroupValue("/sys/fs/cgroup/memory.max", kNone);
  const uint64_t used = CgroupValue("/sys/fs/cgroup/memory.current", 0);
  info.total_bytes = std::min(info.total_bytes, limit);
  if (limit != kNone)
    info.available_bytes = std::min(info.available_bytes, limit - std::min(used, limit));
  return info;
}

uint64_t PeakResidentBytes() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

int64_t Preemptions() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

double MachineBusySeconds() {
  std::ifstream file("/proc/stat");
  std::string all;
  // Ticks as user, nice, system, idle, waiting for a disk, interrupts of two kinds.
  std::array<double, 7> ticks = {};
  file >> all;
  for (double& each : ticks) file >> each;
  if (!file || all != "cpu") return 0;
  const double busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6];
  return busy / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

uint64_t UndeliveredBytes(int socket) {
  int bytes = 0;
  const bool told = ::ioctl(socket, SIOCOUTQ, &bytes) == 0 && bytes > 0;
  return told ? static_cast<uint64_t>(bytes) : 0;
}

bool Company::IsThere(double now_s, int threads, const std::function<double()>& busy_seconds) {
  constexpr double kLeastSeconds = 0.2;  // of ticks of a hundredth
  constexpr double kBeside = 0.15;       // what I/O takes, and the system
  const double seconds = now_s - since_s_;
  if (seconds < kLeastSeconds) return is_there_;
  const double busy_s = busy_seconds();
  is_there_ = since_s_ > 0 && busy_s - busy_s_ > (threads + kBeside) * seconds;
  since_s_ = now_s;
  busy_s_ = busy_s;
  return is_there_;
}

uint64_t ResidentBytes() {
  return ProcValue("/proc/self/status", "VmRSS");
}

std::vector<int> AllowedProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> processors;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) processors.push_back(cpu);
    }
  }
  if (processors.empty()) processors.push_back(0);
  return processors;
}

void PinThisThread(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

void NameThisThread(const char* name) {
  ::pthread_setname_np(::pthread_self(), name);
}

std::string HostName() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

std::string MachineId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
  return {};
}

void FillWithEntropy(std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::getrandom(bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    CHECK(count > 0, "getrandom failed");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

uint64_t RandomU64() {
  uint64_t value;
  FillWithEntropy({reinterpret_cast<uint8_t*>(&value), sizeof value});
  return value;
}

}  // namespace baton::os
