#include "cgroup_processes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <poll.h>
#include <set>
#include <signal.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include <absl/strings/str_split.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "cgroup_tree.hpp"
#include "process_end.hpp"

namespace berth::runc {

using support::Fd;
using support::strCat;

namespace {

absl::StatusOr<std::vector<pid_t>> processesOf(const std::vector<std::string>& directories) {
  std::vector<pid_t> pids;
  for (const std::string& root : directories) {
    std::vector<std::string> tree;
    BERTH_RETURN_IF_ERROR(listCgroupTree(root, tree));
    for (const std::string& directory : tree) {
      const auto text = support::readFile(directory + "/cgroup.procs");
      // Removed meanwhile, or threaded: those processes are listed above it (kernel's cgroup-v2,
      // "Threads").
      if (absl::IsNotFound(text.status()) || absl::IsUnimplemented(text.status())) continue;
      BERTH_RETURN_IF_ERROR(text.status());
      for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
        const int pid = std::atoi(std::string(line).c_str());
        // 0 stands for a process of another PID namespace, which cannot be reached from here.
        if (pid > 0) pids.push_back(pid);
      }
    }
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

bool hasEnded(int pidfd) {
  pollfd polled{.fd = pidfd, .events = POLLIN};
  return ::poll(&polled, 1, 0) == 1;
}

// Opened before the cgroup was read again: a descriptor in both lists cannot be of a process that
// got a freed number in between.
absl::StatusOr<std::vector<std::pair<pid_t, Fd>>> openProcesses(
    const std::vector<std::string>& directories) {
  std::vector<std::pair<pid_t, Fd>> opened;
  BERTH_ASSIGN_OR_RETURN(const std::vector<pid_t> pids, processesOf(directories));
  for (const pid_t pid : pids) {
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd && errno != ESRCH) return support::errnoStatus(errno, strCat("open process ", pid));
    if (pidfd) opened.emplace_back(pid, std::move(pidfd));
  }
  if (opened.empty()) return opened;
  BERTH_ASSIGN_OR_RETURN(const std::vector<pid_t> still, processesOf(directories));
  std::erase_if(opened, [&](const auto& process) {
    // A process that nobody has reaped yet may still be listed.
    return !std::binary_search(still.begin(), still.end(), process.first) ||
           hasEnded(process.second.get());
  });
  return opened;
}

absl::Status writeIfPresent(const std::string& path, std::string_view text) {
  const absl::Status status = support::writeControlFile(path, text);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// A cgroup whose last process has just ended may stay busy until the scheduler has let go of it,
// and the kernel offers no event for that on v1.
absl::Status removeDirectory(const std::string& directory) {
  constexpr int kTries = 200;
  for (int tries = 0;; ++tries) {
    if (support::steps::rmdir(directory.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    if (errno != EBUSY || tries == kTries) {
      return support::errnoStatus(errno, strCat("remove cgroup ", directory));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(1 + tries / 10, 10)));
  }
}

}  // namespace

absl::Status killCgroup(const CgroupLayout& layout, const std::string& path,
                        const CallLimits& limits) {
  if (path.empty()) return absl::OkStatus();
  const std::vector<std::string> directories = layout.directories(path);
  const std::string unified = layout.unifiedDirectory(path);
  BERTH_RETURN_IF_ERROR(thawCgroup(layout, path));
  // Processes may fork while they are being listed: repeated until a list is empty.
  std::set<pid_t> unreaped;
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(auto processes, openProcesses(directories));
    // Kernels differ in whether these stay listed.
    std::erase_if(processes, [&](const auto& process) {
      return unreaped.contains(process.first) && isUnreapedInit(process.first);
    });
    if (processes.empty()) return absl::OkStatus();
    if (!unified.empty()) {
      BERTH_RETURN_IF_ERROR(writeIfPresent(unified + "/cgroup.kill", "1"));
    }
    for (const auto& [pid, pidfd] : processes) {
      if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0 &&
          errno != ESRCH) {
        return support::errnoStatus(errno, strCat("kill process ", pid, " of cgroup ", path));
      }
    }
    for (const auto& [pid, pidfd] : processes) {
      // One that has left the cgroup has given back all it had, reaped or not.
      const auto hasLeft = [&, pid = pid] {
        const auto still = processesOf(directories);
        return still.ok() && !std::binary_search(still->begin(), still->end(), pid);
      };
      BERTH_ASSIGN_OR_RETURN(
          const KilledEnd end,
          awaitKilled(pid, pidfd.get(), limits,
                      strCat("wait for killed process ", pid, " of cgroup ", path), hasLeft));
      if (end == KilledEnd::kUnreaped) unreaped.insert(pid);
    }
  }
}

absl::StatusOr<std::vector<pid_t>> processesOfCgroup(const CgroupLayout& layout,
                                                     const std::string& path) {
  if (path.empty()) return std::vector<pid_t>();
  return processesOf(layout.directories(path));
}

absl::Status thawCgroup(const CgroupLayout& layout, const std::string& path) {
  if (path.empty() || !isFrozen(layout, path)) return absl::OkStatus();
  if (layout.mode() == CgroupMode::kUnified) {
    return writeIfPresent(layout.unifiedDirectory(path) + "/cgroup.freeze", "0");
  }
  return writeIfPresent(layout.directory("freezer", path) + "/freezer.state", "THAWED");
}

bool isFrozen(const CgroupLayout& layout, const std::string& path) {
  const bool unified = layout.mode() == CgroupMode::kUnified;
  const std::string file = unified ? layout.unifiedDirectory(path) + "/cgroup.freeze"
                                   : layout.directory("freezer", path) + "/freezer.self_freezing";
  const auto text = support::readFile(file);
  return text.ok() && !text->empty() && text->front() == '1';
}

absl::Status removeCgroup(const CgroupLayout& layout, const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  support::StatusCollector failures;
  for (const std::string& root : layout.directories(path)) {
    std::vector<std::string> tree;
    failures.add(listCgroupTree(root, tree));
    for (const std::string& directory : tree) failures.add(removeDirectory(directory));
  }
  return failures.status();
}

std::vector<std::string> missingDirectories(const CgroupLayout& layout, const std::string& path) {
  std::vector<std::string> missing;
  for (std::string at = path; !at.empty(); at.resize(at.rfind('/'))) {
    for (const std::string& directory : layout.directories(at)) {
      if (!support::pathExists(directory)) missing.push_back(directory);
    }
  }
  return missing;
}

}  // namespace berth::runc
