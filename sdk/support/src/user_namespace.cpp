#include "berth/support/user_namespace.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/sched.h>
#include <string>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"

namespace berth::support {
namespace {

constexpr uint32_t kOverflowId = 65534;

// What the child does: holds the namespace until the pipe's other end closes, be it that the parent
// is through or that it has died. System calls alone: the parent has other threads.
[[noreturn]] void holdNamespace(int readEnd, int writeEnd) {
  ::syscall(SYS_close, writeEnd);
  char byte = 0;
  ::syscall(SYS_read, readEnd, &byte, 1);
  for (;;) ::syscall(SYS_exit_group, 0);
}

// spawn() cannot serve: the child must stay in the image of the program, without an
// execve(), to be there when its mappings are written.
absl::StatusOr<Process> startHolder(int readEnd, int writeEnd) {
  int pidfd = -1;
  clone_args arguments = {};
  arguments.flags = CLONE_NEWUSER | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) holdNamespace(readEnd, writeEnd);
  if (pid < 0) {
    const int error = errno;
    const absl::Status status =
        errnoStatus(error, "make a user namespace (see user.max_user_namespaces, sysctl)");
    // A limit of the host's, often 0, and no shortage that passes (user_namespaces(7)).
    return error == ENOSPC || error == EUSERS ? absl::FailedPreconditionError(status.message())
                                              : status;
  }
  return Process(static_cast<pid_t>(pid), Fd(pidfd));
}

absl::Status writeMap(pid_t pid, const char* file, const IdRanges& ranges) {
  std::string text;
  for (const IdRange& range : ranges)
    text += strCat(range.inside, " ", range.outside, " ", range.length, "\n");
  absl::Status status = writeControlFile(strCat("/proc/", pid, "/", file), text);
  if (absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status))
    return absl::InvalidArgumentError(
        strCat("the kernel refuses the id mappings (ranges must not be empty or overlap): ",
               fromAbsl(status.message())));
  return status;
}

}  // namespace

absl::StatusOr<Fd> makeUserNamespace(const IdRanges& uids, const IdRanges& gids) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return errnoStatus(errno, "make a pipe");
  const Fd readEnd(ends[0]);
  Fd writeEnd(ends[1]);
  BERTH_ASSIGN_OR_RETURN(Process holder, startHolder(readEnd.get(), writeEnd.get()));
  BERTH_RETURN_IF_ERROR(writeMap(holder.pid(), "uid_map", uids));
  BERTH_RETURN_IF_ERROR(writeMap(holder.pid(), "gid_map", gids));
  BERTH_ASSIGN_OR_RETURN(Fd userNamespace,
                         openFile(strCat("/proc/", holder.pid(), "/ns/user"), O_RDONLY));
  return userNamespace;
}

uint32_t outsideId(const IdRanges& ranges, uint32_t inside) {
  if (ranges.empty()) return inside;
  for (const IdRange& range : ranges)
    if (inside >= range.inside && inside - range.inside < range.length)
      return range.outside + (inside - range.inside);
  return kOverflowId;
}

}  // namespace berth::support
