// Child processes, and networks of their own for them: whatever is in such a network is gone with
// the last process in it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace baton::os {

// This process leaves the machine's network for an empty one of its own, where it may do as it
// likes. Needs root, or a system that lets users have such; only while there is one thread.
// kPermissionDenied if the system does not.
Status EnterOwnNetwork();

struct ProcessOptions {
  std::vector<std::string> arguments;    // the program first, looked up in PATH
  std::vector<std::string> environment;  // "NAME=VALUE", beside or instead of ours
  std::string log_path;                  // standard output and error are appended; empty: neither
  bool own_network = false;              // begins in one, and only with Go()
};

// A child. It is killed by the destructor, and when the thread that started it ends, however that
// ends.
class Process {
 public:
  static Result<Process> Start(const ProcessOptions& options);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  int id() const { return id_; }
  // With own_network: the network is as the child needs it.
  void Go();
  bool running();
  // Any thread: asks it to end.
  void Terminate() const;
  // Asks it to end, waits, and kills it.
  void Stop(std::chrono::milliseconds patience);

 private:
  Process(int id, int go) : id_(id), go_(go) {}
  void Kill();

  int id_ = -1;  // -1: none, or ended
  int go_ = -1;  // a pipe that it waits on
};

// As many open files as the system lets this process have; children inherit that.
Status AllowManyFiles();

// Runs a tool to its end: what it printed. Its errors, where it failed.
Result<std::string> RunTool(const std::vector<std::string>& arguments);

}  // namespace baton::os
