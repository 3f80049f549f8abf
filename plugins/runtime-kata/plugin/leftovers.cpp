#include "leftovers.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"

namespace berth::kata {

using support::strCat;

namespace {

constexpr const char* kCgroups = "/sys/fs/cgroup";

std::string_view baseName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

bool isShimOf(int64_t process, std::string_view program, std::string_view pod) {
  const auto line = support::readFile(strCat("/proc/", process, "/cmdline"));
  if (!line.ok()) return false;
  // The program may be run by an interpreter, whose name comes first then.
  bool named = false;
  std::string_view before;
  for (const auto& part : absl::StrSplit(*line, '\0')) {
    const std::string_view argument = support::fromAbsl(part);
    if (named && before == "-id" && argument == pod) return true;
    named = named || baseName(argument) == baseName(program);
    before = argument;
  }
  return false;
}

// `isStill` tells whether the number is still that process's.
absl::Status kill(int64_t process, const std::function<bool()>& isStill, const CallLimits& limits) {
  const support::Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (!handle && errno == ESRCH) return absl::OkStatus();
  if (!handle) return support::errnoStatus(errno, strCat("open process ", process));
  if (!isStill()) return absl::OkStatus();
  ::syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0);
  return waitFor(handle.get(), POLLIN, limits, strCat("wait for the end of process ", process));
}

bool isFolder(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Those below `folder` that have the id in their names, and all below them; the deepest last.
void addCgroups(const std::string& folder, const std::string& id, bool isInside,
                std::vector<std::string>& found) {
  const auto names = support::listDirectory(folder);
  if (!names.ok()) return;  // gone meanwhile
  for (const std::string& name : *names) {
    const std::string path = strCat(folder, "/", name);
    if (!isFolder(path)) continue;
    const bool isOne = isInside || name.find(id) != std::string::npos;
    if (isOne) found.push_back(path);
    addCgroups(path, id, isOne, found);
  }
}

std::vector<int64_t> processesIn(const std::string& cgroup) {
  std::vector<int64_t> found;
  const auto text = support::readFile(strCat(cgroup, "/cgroup.procs"));
  if (!text.ok()) return found;
  for (const auto& line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    int64_t process = 0;
    if (absl::SimpleAtoi(line, &process) && process > 0) found.push_back(process);
  }
  return found;
}

absl::Status empty(const std::string& cgroup, const CallLimits& limits) {
  for (;;) {
    const std::vector<int64_t> processes = processesIn(cgroup);
    if (processes.empty()) return absl::OkStatus();
    for (const int64_t each : processes) {
      const auto isStill = [&] {
        const std::vector<int64_t> now = processesIn(cgroup);
        return std::find(now.begin(), now.end(), each) != now.end();
      };
      BERTH_RETURN_IF_ERROR(kill(each, isStill, limits));
    }
    BERTH_RETURN_IF_ERROR(
        pauseFor(std::chrono::milliseconds(1), limits, strCat("empty the cgroup ", cgroup)));
  }
}

}  // namespace

std::vector<int64_t> shimProcesses(std::string_view program, std::string_view pod) {
  std::vector<int64_t> found;
  const auto names = support::listDirectory("/proc");
  if (!names.ok()) return found;
  for (const std::string& name : *names) {
    int64_t process = 0;
    if (absl::SimpleAtoi(name, &process) && isShimOf(process, program, pod)) {
      found.push_back(process);
    }
  }
  return found;
}

absl::Status endShims(const std::string& program, const std::string& pod,
                      const CallLimits& limits) {
  for (;;) {
    const std::vector<int64_t> processes = shimProcesses(program, pod);
    if (processes.empty()) return absl::OkStatus();
    for (const int64_t each : processes) {
      BERTH_RETURN_IF_ERROR(kill(
          each, [&] { return isShimOf(each, program, pod); }, limits));
    }
    BERTH_RETURN_IF_ERROR(
        pauseFor(std::chrono::milliseconds(1), limits, strCat("end the shims of pod ", pod)));
  }
}

absl::Status endCgroups(const std::string& container, const CallLimits& limits) {
  std::vector<std::string> cgroups;
  addCgroups(kCgroups, container, false, cgroups);
  support::StatusCollector failures;
  for (const std::string& each : cgroups) failures.add(empty(each, limits));
  BERTH_RETURN_IF_ERROR(failures.status());
  for (size_t i = cgroups.size(); i-- > 0;) {
    if (support::steps::rmdir(cgroups[i].c_str()) != 0 && errno != ENOENT) {
      failures.add(support::errnoStatus(errno, strCat("remove the cgroup ", cgroups[i])));
    }
  }
  return failures.status();
}

}  // namespace berth::kata
