#include "pod_init.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/support/fd.hpp"

namespace berth::runc::monitor {

namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv) && __riscv_xlen == 64
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_PPC64LE;
#elif defined(__s390x__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_S390X;
#else
#error "name the architecture as seccomp(2) does"
#endif

// An empty, read-only root in a mount namespace of its own: /proc/1/root shows it to the containers
// that may trace this process. The mounts go with the namespace.
bool leaveHostTree() {
  if (unshare(CLONE_NEWNS) != 0) return false;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  const support::Fd fs(fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!fs || fsconfig(fs.get(), FSCONFIG_SET_FLAG, "ro", nullptr, 0) != 0 ||
      fsconfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return false;
  }
  const support::Fd root(
      fsmount(fs.get(), FSMOUNT_CLOEXEC,
              MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!root || move_mount(root.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
      fchdir(root.get()) != 0) {
    return false;
  }
  // The old root comes to lie on the new one, and is what "." leads to for umount2 (pivot_root(2)).
  // The kernel's first root file system cannot be exchanged; it stays below then, out of reach.
  if (syscall(SYS_pivot_root, ".", ".") != 0) return chroot(".") == 0;
  return umount2(".", MNT_DETACH) == 0;
}

bool dropCapabilities() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  return syscall(SYS_capset, &header, none) == 0;
}

// No other system calls than those that follow below, also for one who traces this process.
bool allowOnlyReaping() {
  constexpr auto load = [](size_t offset) {
    return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
  };
  constexpr auto skipIfEqual = [](long value, uint8_t instructions) {
    return sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(value),
                                instructions, 0);
  };
  constexpr auto answer = [](uint32_t action) {
    return sock_filter BPF_STMT(BPF_RET | BPF_K, action);
  };
  std::array filter{
      load(offsetof(seccomp_data, arch)),  skipIfEqual(kArchitecture, 1),
      answer(SECCOMP_RET_KILL_PROCESS),    load(offsetof(seccomp_data, nr)),
      skipIfEqual(SYS_write, 6),           skipIfEqual(SYS_rt_sigtimedwait, 5),
      skipIfEqual(SYS_wait4, 4),           skipIfEqual(SYS_exit_group, 3),
      skipIfEqual(SYS_restart_syscall, 2), skipIfEqual(SYS_rt_sigreturn, 1),
      answer(SECCOMP_RET_KILL_PROCESS),    answer(SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<uint16_t>(filter.size()), filter.data()};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

// 0 or the errno. What the containers can reach of this process through /proc is nothing of the
// host's; without CAP_SYS_PTRACE its memory and links are out of their reach altogether.
int confine() {
  for (char** variable = environ; *variable != nullptr; ++variable)
    explicit_bzero(*variable, std::strlen(*variable));
  const bool confined = leaveHostTree() && dropCapabilities() &&
                        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && allowOnlyReaping();
  return confined ? 0 : errno;
}

}  // namespace

void runPodInit(int readyFd) {
  prctl(PR_SET_NAME, "berth-pod-init");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // The monitor's lock and sockets must not live on in here.
  dup2(readyFd, 0);
  syscall(SYS_close_range, 1u, ~0u, 0u);
  const int error = confine();
  // The monitor may have died before the death signal was asked for: the helper, which reads this,
  // finds out.
  if (write(0, &error, sizeof error) != sizeof error || error != 0) _exit(1);
  // Whoever asks all processes to end, as a node does that is shut down, asks the containers as
  // well: they take their time, which this one's end would take from them.
  for (;;) {
    if (sigwaitinfo(&all, nullptr) != SIGCHLD) continue;
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace berth::runc::monitor
