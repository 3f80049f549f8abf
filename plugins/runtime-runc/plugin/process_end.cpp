#include "process_end.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// A parent that reaps does so within this; nothing else tells of the states looked for.
constexpr auto kAskEvery = std::chrono::milliseconds(100);

// Of /proc/PID/stat, and the kernel's PF_EXITING in it.
constexpr size_t kFlags = 9;
constexpr size_t kThreads = 20;
constexpr uint64_t kExiting = 0x4;

// Its number in the innermost PID namespace that it is in; 0 when there is no such process.
int innermostNumber(pid_t pid) {
  constexpr std::string_view kName = "\nNSpid:";
  const auto text = support::readFile(strCat("/proc/", pid, "/status"));
  if (!text.ok()) return 0;
  const size_t line = text->find(kName);
  if (line == std::string::npos) return 0;
  const std::string numbers =
      text->substr(line + kName.size(), text->find('\n', line + 1) - line - kName.size());
  return std::atoi(numbers.c_str() + numbers.find_last_of("\t ") + 1);
}

bool hasNamespaces(pid_t pid) {
  char text[64];
  return ::readlink(strCat("/proc/", pid, "/ns/mnt").c_str(), text, sizeof text) > 0;
}

}  // namespace

// The flag is the first thread's, and comes first of all: memory, files and namespaces are given
// back afterwards, in this order, and other threads may run on (the kernel's do_exit()).
bool isUnreapedInit(pid_t pid) {
  return (support::processStat(pid, kFlags) & kExiting) != 0 &&
         support::processStat(pid, kThreads) == 1 && innermostNumber(pid) == 1 &&
         !hasNamespaces(pid);
}

absl::StatusOr<KilledEnd> awaitKilled(pid_t pid, int pidfd, const CallLimits& limits,
                                      std::string_view doing, const std::function<bool()>& gone) {
  for (;;) {
    CallLimits slice = limits;
    slice.deadline = std::min(limits.deadline, std::chrono::steady_clock::now() + kAskEvery);
    absl::Status status = waitReadable(pidfd, slice, doing);
    if (status.ok()) return KilledEnd::kWhole;
    if (!absl::IsDeadlineExceeded(status)) return status;
    if (isUnreapedInit(pid) || gone()) return KilledEnd::kUnreaped;
    if (slice.deadline == limits.deadline) return status;
  }
}

}  // namespace berth::runc
