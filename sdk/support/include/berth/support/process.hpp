// The one place that starts processes.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::support {

// What to run. Descriptors are borrowed; -1 stands for /dev/null.
struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in our own PATH when it has no slash
  std::optional<std::vector<std::string>> environment;  // "K=V"; none inherits
  std::string directory;                                // none stays
  int standardInput = -1;
  int standardOutput = -1;
  int standardError = -1;
  std::vector<std::pair<int, int>> descriptors;  // further (ours, theirs); all others are closed
  // Namespace descriptors to setns() into first. A PID namespace is only for the children of the
  // child (setns(2)); a time namespace cannot be joined this way.
  std::vector<int> namespaces;
  bool newSession = false;      // setsid()
  bool endsWithThread = false;  // is killed when the thread that has spawned it ends, or is killed
};

// A running child; owns its pidfd until it has been waited for. If it is destroyed while the child
// lives, the child is killed (SIGKILL) and reaped. One that does not end within half a second is
// not waited for: it is reaped when a later process is started or killed.
class Process {
 public:
  Process() = default;
  Process(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  // NOT_FOUND once it has been waited for.
  absl::Status signal(int number) const;
  // Blocks. The exit code, or 128 + signal number. Once only: FAILED_PRECONDITION after that.
  absl::StatusOr<int> wait();
  // The child is no longer ours to kill or reap.
  pid_t release();

 private:
  void killAndReap();

  pid_t pid_ = -1;
  Fd pidfd_;
};

// Starts with vfork semantics: costs the same however large the caller is. The child starts with
// an empty signal mask and default dispositions. Returns once the program has been executed:
// NOT_FOUND when it does not exist, PERMISSION_DENIED when it may not be executed. Any thread.
absl::StatusOr<Process> spawn(const Command& command);

struct Output {
  int exitCode = 0;  // 128 + signal number when killed
  std::string standardOutput;
  std::string standardError;
};

struct RunLimits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  int cancelFd = -1;               // becomes readable when the run must end
  size_t outputBytes = 16u << 20;  // for each stream; more is RESOURCE_EXHAUSTED
};

// Runs to the end with `input` on stdin and both outputs captured. DEADLINE_EXCEEDED or CANCELLED
// once the child has been killed; with newSession its whole process group is killed. A
// non-zero exit is no error here. Ends with the child: output that descendants which outlive it
// still write is not waited for. The descriptors of `command` for the standard streams are not
// used.
absl::StatusOr<Output> run(const Command& command, std::string_view input = {},
                           const RunLimits& limits = {});

}  // namespace berth::support
