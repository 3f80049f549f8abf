#include "berth/support/lock_holders.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::support {

// proc(5), /proc/pid/fdinfo: "lock: 1: FLOCK  ADVISORY  WRITE 4711 …".
bool holdsLock(pid_t pid, const struct stat& file) {
  const std::string folder = strCat("/proc/", pid, "/fd");
  const auto names = listDirectory(folder);
  if (!names.ok()) return false;  // it has ended
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    struct stat info = {};
    if (::stat(strCat(folder, "/", name).c_str(), &info) != 0 || info.st_dev != file.st_dev ||
        info.st_ino != file.st_ino)
      return false;
    const auto about = readFile(strCat("/proc/", pid, "/fdinfo/", name));
    return about.ok() && about->find("FLOCK") != std::string::npos;
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
