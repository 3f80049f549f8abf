#include "user_namespace.hpp"

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

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::Process;
using support::strCat;

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

// support::spawn() cannot serve: the child must stay in the image of the program, without an
// execve(), to be there when its mappings are written.
absl::StatusOr<Process> startHolder(int readEnd, int writeEnd) {
  int pidfd = -1;
  clone_args arguments = {};
  arguments.flags = CLONE_NEWUSER | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) holdNamespace(readEnd, writeEnd);
  if (pid < 0)
    return errnoStatus(errno, "make a user namespace (see user.max_user_namespaces, sysctl)");
  return Process(static_cast<pid_t>(pid), Fd(pidfd));
}

absl::Status writeMap(pid_t pid, const char* file, const IdMappings& mappings) {
  std::string text;
  for (const berth_id_mapping& mapping : mappings)
    text += strCat(mapping.container_id, " ", mapping.host_id, " ", mapping.length, "\n");
  const absl::Status status = support::writeControlFile(strCat("/proc/", pid, "/", file), text);
  if (absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status))
    return absl::InvalidArgumentError(
        strCat("the kernel refuses the id mappings (ranges must not be empty or overlap): ",
               support::fromAbsl(status.message())));
  return status;
}

}  // namespace

absl::StatusOr<Fd> makeUserNamespace(const IdMappings& uids, const IdMappings& gids) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return errnoStatus(errno, "make a pipe");
  const Fd readEnd(ends[0]);
  Fd writeEnd(ends[1]);
  BERTH_ASSIGN_OR_RETURN(Process holder, startHolder(readEnd.get(), writeEnd.get()));
  BERTH_RETURN_IF_ERROR(writeMap(holder.pid(), "uid_map", uids));
  BERTH_RETURN_IF_ERROR(writeMap(holder.pid(), "gid_map", gids));
  BERTH_ASSIGN_OR_RETURN(Fd userNamespace,
                         support::openFile(strCat("/proc/", holder.pid(), "/ns/user"), O_RDONLY));
  return userNamespace;
}

uint32_t hostId(const IdMappings& mappings, uint32_t containerId) {
  if (mappings.empty()) return containerId;
  for (const berth_id_mapping& mapping : mappings)
    if (containerId >= mapping.container_id && containerId - mapping.container_id < mapping.length)
      return mapping.host_id + (containerId - mapping.container_id);
  return kOverflowId;
}

}  // namespace berth::overlay
