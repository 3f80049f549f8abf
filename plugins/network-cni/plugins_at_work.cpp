#include "plugins_at_work.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "limits.hpp"

namespace berth::cni {
namespace {

using support::strCat;
using Clock = std::chrono::steady_clock;

// A lock cannot be waited for together with the call's descriptor.
constexpr int kAskEvery = 20;  // milliseconds

bool lockNow(const support::Fd& file) {
  return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
}

std::vector<pid_t> allProcesses() {
  std::vector<pid_t> pids;
  const auto names = support::listDirectory("/proc");
  if (!names.ok()) return pids;
  for (const std::string& name : *names)
    if (const pid_t pid = std::atoi(name.c_str()); pid > 0 && pid != ::getpid())
      pids.push_back(pid);
  return pids;
}

// Whether the process has the descriptor of the lock, and not another one of the same file, as who
// reads it has. proc(5), /proc/pid/fdinfo: "lock: 1: FLOCK  ADVISORY  WRITE 4711 …".
bool holdsLock(pid_t pid, const struct stat& file) {
  const std::string folder = strCat("/proc/", pid, "/fd");
  const auto names = support::listDirectory(folder);
  if (!names.ok()) return false;  // it has ended
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    struct stat info = {};
    if (::stat(strCat(folder, "/", name).c_str(), &info) != 0 || info.st_dev != file.st_dev ||
        info.st_ino != file.st_ino)
      return false;
    const auto about = support::readFile(strCat("/proc/", pid, "/fdinfo/", name));
    return about.ok() && about->find("FLOCK") != std::string::npos;
  });
}

// Kills each process of which `is` says so; it is asked while the number cannot become another's.
template <class Is>
void killEach(Is is) {
  for (const pid_t pid : allProcesses()) {
    const support::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (pidfd && is(pid)) (void)::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  }
}

void killHolders(const support::Fd& file) {
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return;
  std::set<pid_t> sessions;
  killEach([&](pid_t pid) {
    if (!holdsLock(pid, info)) return false;
    sessions.insert(::getsid(pid));
    return true;
  });
  // What a plugin has started may have closed the descriptor. Each plugin gets a session of its own
  // (invoker.cpp); 0 stands for all whose leader is outside of our PID namespace.
  std::erase_if(sessions, [](pid_t session) { return session <= 0 || session == ::getsid(0); });
  killEach([&](pid_t pid) { return sessions.contains(::getsid(pid)); });
}

}  // namespace

absl::StatusOr<support::Fd> lockRecord(const std::string& file) {
  BERTH_ASSIGN_OR_RETURN(support::Fd opened, support::openFile(file, O_RDONLY | O_CLOEXEC));
  if (!lockNow(opened)) return support::errnoStatus(errno, strCat("lock ", file));
  return opened;
}

absl::StatusOr<support::Fd> awaitPlugins(const Op& op, const std::string& file,
                                         Clock::time_point patience) {
  auto opened = support::openFile(file, O_RDONLY | O_CLOEXEC);
  if (absl::IsNotFound(opened.status())) return support::Fd();
  BERTH_RETURN_IF_ERROR(opened.status());
  if (lockNow(*opened)) return opened;
  op.stage("wait for CNI plugins of an earlier daemon");
  const support::RunLimits limits = limitsOf(op);
  const std::string doing = strCat("wait for the CNI plugins that are at work for ", file);
  bool killed = false;
  while (!lockNow(*opened)) {
    if (errno != EWOULDBLOCK && errno != EINTR) return support::errnoStatus(errno, doing);
    pollfd cancelled{.fd = limits.cancelFd, .events = POLLIN, .revents = 0};
    if (::poll(&cancelled, 1, kAskEvery) > 0) return absl::CancelledError(doing);
    const auto now = Clock::now();
    if (now >= limits.deadline) return absl::DeadlineExceededError(doing);
    if (!killed && now >= patience) {
      killHolders(*opened);
      killed = true;
    }
  }
  return opened;
}

}  // namespace berth::cni
