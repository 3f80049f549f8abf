#include "process_end.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// A parent that reaps does so within this; nothing else tells of the states looked for.
constexpr auto kAskEvery = std::chrono::milliseconds(100);

// Numbers of fields as proc(5) counts them.
constexpr size_t kFlags = 9;
constexpr size_t kStartTime = 22;
// The kernel's PF_EXITING.
constexpr uint64_t kExiting = 0x4;

// A field of /proc/<pid>/stat from the third on; 0 when there is no such process.
uint64_t statField(pid_t pid, size_t number) {
  constexpr size_t kFirst = 3;
  const auto text = support::readFile(strCat("/proc/", pid, "/stat"));
  if (!text.ok()) return 0;
  // The second field is the name in parentheses and may hold anything, blanks included.
  const size_t end = text->rfind(')');
  if (end == std::string::npos) return 0;
  const std::vector<std::string> fields =
      absl::StrSplit(text->substr(end + 1), ' ', absl::SkipEmpty());
  const size_t index = number - kFirst;
  return fields.size() > index ? std::strtoull(fields[index].c_str(), nullptr, 10) : 0;
}

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

}  // namespace

uint64_t processStart(pid_t pid) {
  return statField(pid, kStartTime);
}

bool isUnreapedInit(pid_t pid) {
  return (statField(pid, kFlags) & kExiting) != 0 && innermostNumber(pid) == 1;
}

absl::StatusOr<KilledEnd> awaitKilled(pid_t pid, int pidfd, const CallLimits& limits,
                                      std::string_view doing, const std::function<bool()>& gone) {
  for (;;) {
    CallLimits slice = limits;
    slice.deadline = std::min(limits.deadline, std::chrono::steady_clock::now() + kAskEvery);
    const absl::Status status = waitReadable(pidfd, slice, doing);
    if (status.ok()) return KilledEnd::kWhole;
    if (!absl::IsDeadlineExceeded(status)) return status;
    if (isUnreapedInit(pid) || gone()) return KilledEnd::kUnreaped;
    if (slice.deadline == limits.deadline) return status;
  }
}

}  // namespace berth::runc
