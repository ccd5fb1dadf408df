#include "os/process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include <fmt/ranges.h>

extern char** environ;

namespace baton::os {
namespace {

constexpr int kCannotRun = 127;

Error Failure(const char* what) {
  const Code code =
      errno == EPERM || errno == EACCES ? Code::kPermissionDenied : Code::kResourceExhausted;
  return MakeError(code, "{}: {}", what, std::strerror(errno));
}

struct Pipe {
  int read = -1;
  int write = -1;
};

Result<Pipe> OpenPipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Failure("pipe");
  return Pipe{ends[0], ends[1]};
}

void Close(int& descriptor) {
  if (descriptor >= 0) ::close(std::exchange(descriptor, -1));
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Ours, with what is said instead.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& said) {
  std::vector<std::string> all = said;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view text = *each;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced = std::any_of(said.begin(), said.end(), [&](const std::string& other) {
      return std::string_view(other).substr(0, name.size()) == name;
    });
    if (!replaced) all.emplace_back(text);
  }
  return all;
}

// What a child needs, made before there is one: between fork() and exec() nothing allocates.
struct Launch {
  std::vector<std::string> environment;
  std::vector<char*> argument_pointers, environment_pointers;
  int output = -1;  // for standard output and error
  Pipe ready, go;   // with a network of its own
};

// In the child.
[[noreturn]] void Become(const Launch& launch, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kCannotRun);
  ::setpgid(0, 0);  // an interrupt from the terminal is the parent's business
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (launch.output >= 0) {
    ::dup2(launch.output, STDOUT_FILENO);
    ::dup2(launch.output, STDERR_FILENO);
  }
  if (launch.ready.write >= 0) {
    char byte = ::unshare(CLONE_NEWNET) == 0 ? 1 : 0;
    if (::write(launch.ready.write, &byte, 1) != 1) ::_exit(kCannotRun);
    if (::read(launch.go.read, &byte, 1) != 1) ::_exit(kCannotRun);
  }
  environ = const_cast<char**>(launch.environment_pointers.data());
  ::execvp(launch.argument_pointers.front(), launch.argument_pointers.data());
  ::_exit(kCannotRun);
}

Status WriteMap(const char* path, unsigned id) {
  const std::string text = fmt::format("0 {} 1", id);
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return Failure(path);
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const Status status = written ? OkStatus() : Status(Failure(path));
  ::close(file);
  return status;
}

}  // namespace

Status EnterOwnNetwork() {
  if (::geteuid() == 0 && ::unshare(CLONE_NEWNET) == 0) return OkStatus();
  const unsigned user = ::geteuid(), group = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
    return Failure("a network of its own for the lab");
  const int groups = ::open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
  if (groups >= 0) {
    [[maybe_unused]] const ssize_t written = ::write(groups, "deny", 4);  // absent in old kernels
    ::close(groups);
  }
  BATON_RETURN_IF_ERROR(WriteMap("/proc/self/uid_map", user));
  return WriteMap("/proc/self/gid_map", group);
}

Status AllowManyFiles() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return Failure("the limit of open files");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return Failure("more open files");
  return OkStatus();
}

Result<Process> Process::Start(const ProcessOptions& options) {
  Launch launch;
  launch.environment = EnvironmentWith(options.environment);
  launch.argument_pointers = Pointers(options.arguments);
  launch.environment_pointers = Pointers(launch.environment);
  const char* log = options.log_path.empty() ? "/dev/null" : options.log_path.c_str();
  launch.output = ::open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (launch.output < 0) return Failure(log);
  if (options.own_network) {
    BATON_ASSIGN_OR_RETURN(launch.ready, OpenPipe());
    BATON_ASSIGN_OR_RETURN(launch.go, OpenPipe());
  }
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) Become(launch, parent);
  Close(launch.output);
  Close(launch.ready.write);
  Close(launch.go.read);
  if (child < 0) return Failure("a new process");
  Process process(child, launch.go.write);
  if (!options.own_network) return process;
  char made = 0;
  const bool told = ::read(launch.ready.read, &made, 1) == 1;
  Close(launch.ready.read);
  if (!told || made == 0)
    return MakeError(Code::kPermissionDenied, "a network for '{}' is refused by the system",
                     options.arguments.front());
  return process;
}

Process::Process(Process&& other) noexcept
    : id_(std::exchange(other.id_, -1)), go_(std::exchange(other.go_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(go_, other.go_);
  return *this;
}

Process::~Process() {
  Kill();
  Close(go_);
}

void Process::Go() {
  const char byte = 1;
  [[maybe_unused]] const ssize_t written = ::write(go_, &byte, 1);  // a dead child is seen later
  Close(go_);
}

bool Process::running() {
  if (id_ < 0) return false;
  if (::waitpid(id_, nullptr, WNOHANG) == 0) return true;
  id_ = -1;
  return false;
}

void Process::Terminate() const {
  if (id_ >= 0) ::kill(id_, SIGTERM);
}

void Process::Stop(std::chrono::milliseconds patience) {
  Terminate();
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (running() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  Kill();
}

void Process::Kill() {
  if (id_ < 0) return;
  ::kill(id_, SIGKILL);
  ::waitpid(id_, nullptr, 0);
  id_ = -1;
}

Result<std::string> RunTool(const std::vector<std::string>& arguments) {
  Launch launch;
  launch.environment = EnvironmentWith({});
  launch.argument_pointers = Pointers(arguments);
  launch.environment_pointers = Pointers(launch.environment);
  BATON_ASSIGN_OR_RETURN(Pipe output, OpenPipe());
  launch.output = output.write;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) Become(launch, parent);
  Close(output.write);
  std::string text;
  std::array<char, 4096> some{};
  for (ssize_t count = 1; child > 0 && count > 0;) {
    count = ::read(output.read, some.data(), some.size());
    if (count > 0) text.append(some.data(), static_cast<size_t>(count));
  }
  Close(output.read);
  if (child < 0) return Failure("a new process");
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotRun && text.empty())
    return MakeError(Code::kNotFound, "'{}' cannot be run: is it installed?", arguments.front());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return MakeError(Code::kFailedPrecondition, "`{}`: {}", fmt::join(arguments, " "), text);
}

}  // namespace baton::os
