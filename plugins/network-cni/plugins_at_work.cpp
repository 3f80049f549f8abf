#include "plugins_at_work.hpp"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/lock_holders.hpp"
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

void killHolders(const support::Fd& file) {
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return;
  std::set<pid_t> sessions;
  support::killProcesses([&](pid_t pid) {
    if (!support::holdsLock(pid, info)) return false;
    sessions.insert(::getsid(pid));
    return true;
  });
  // What a plugin has started may have closed the descriptor. Each plugin gets a session of its own
  // (invoker.cpp); 0 stands for all whose leader is outside of our PID namespace.
  std::erase_if(sessions, [](pid_t session) { return session <= 0 || session == ::getsid(0); });
  support::killProcesses([&](pid_t pid) { return sessions.contains(::getsid(pid)); });
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
