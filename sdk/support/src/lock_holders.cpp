#include "berth/support/lock_holders.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::support {

namespace {

// proc(5), /proc/pid/fdinfo: "lock:\t1: FLOCK  ADVISORY  WRITE 4711 00:1b:1234 0 EOF". The inode
// counts: the device there is the file system's, which need not be stat(2)'s.
bool tellsOfLock(std::string_view about, ino_t inode) {
  const std::vector<absl::string_view> lines = absl::StrSplit(toAbsl(about), '\n');
  return std::any_of(lines.begin(), lines.end(), [&](absl::string_view line) {
    return absl::StartsWith(line, "lock:") && absl::StrContains(line, " FLOCK ") &&
           absl::StrContains(line, strCat(":", inode, " "));
  });
}

}  // namespace

// What the process has open otherwise is not touched: stat(2) of a file whose server does not
// answer would not end.
bool holdsLock(pid_t pid, const struct stat& file) {
  const auto names = listDirectory(strCat("/proc/", pid, "/fd"));
  if (!names.ok()) return false;  // it has ended
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    const auto about = readFile(strCat("/proc/", pid, "/fdinfo/", name));
    struct stat info = {};
    return about.ok() && tellsOfLock(*about, file.st_ino) &&
           ::stat(strCat("/proc/", pid, "/fd/", name).c_str(), &info) == 0 &&
           info.st_dev == file.st_dev && info.st_ino == file.st_ino;
  });
}

void killProcesses(const std::function<bool(pid_t)>& is) {
  const auto names = listDirectory("/proc");
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const pid_t pid = std::atoi(name.c_str());
    if (pid <= 0 || pid == ::getpid()) continue;
    const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (pidfd && is(pid)) (void)::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  }
}

}  // namespace berth::support
