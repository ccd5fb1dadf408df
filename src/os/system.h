// Facts about this machine and process: memory, processors, names, directories, entropy.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace baton::os {

struct MemoryInfo {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // what new work may take, within the process's cgroup too
};
MemoryInfo SystemMemory();

// Peak and present resident set of this process.
uint64_t PeakResidentBytes();
uint64_t ResidentBytes();

// How often a thread of this process had to make way for another one so far, of any process.
int64_t Preemptions();
// Seconds that all processors of this machine together have been at work since it started, to a
// hundredth; 0 where the system does not say.
double MachineBusySeconds();

// Whether more of this machine's processors are at work than this process has threads for it: then
// others are at work at the same time. One thread.
class Company {
 public:
  // `threads`: of this process, that compute. As of the time since the last call; of too short a
  // time nothing is known, what was before still holds, and the machine is not asked.
  bool IsThere(double now_s, int threads,
               const std::function<double()>& busy_seconds = MachineBusySeconds);

 private:
  double since_s_ = 0;
  double busy_s_ = 0;
  bool is_there_ = false;
};

// What the kernel has of a connected TCP socket's bytes and its peer's has not; 0 where the system
// does not say.
uint64_t UndeliveredBytes(int socket);

// Processors this process may run on (its affinity mask), in order.
std::vector<int> AllowedProcessors();
// Binds the calling thread to one processor. A hint: failure is ignored.
void PinThisThread(int processor);
// Shown by debuggers and top; at most 15 characters.
void NameThisThread(const char* name);

std::string HostName();
// The same for all processes of this machine until it starts anew, whatever container they are in;
// no other machine's. Empty if the system does not say.
std::string MachineId();
// "Intel(R) Xeon(R) ...", empty if the system does not say.
std::string ProcessorName();

// Bytes from the operating system's generator: for keys and identities.
void FillWithEntropy(std::span<uint8_t> bytes);
uint64_t RandomU64();

}  // namespace baton::os
