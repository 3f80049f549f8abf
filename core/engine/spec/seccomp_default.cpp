#include "engine/spec/seccomp_default.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <sched.h>
#include <sys/socket.h>
#include <tuple>
#include <utility>

#include <seccomp.h>

#include "common/capability_names.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

// Allowed for every container.
constexpr std::string_view kAlways =
    "accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown "
    "chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect "
    "copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old "
    "epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
    "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir "
    "fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr "
    "flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 "
    "fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv "
    "futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 "
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer "
    "getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 "
    "getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid "
    "gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents "
    "io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill "
    "landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr "
    "link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek "
    "lsetxattr lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat lstat64 madvise "
    "map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat "
    "mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive "
    "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl "
    "msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep "
    "newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 "
    "pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 "
    "prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read "
    "readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg "
    "remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall rmdir "
    "rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop "
    "semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto "
    "set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 "
    "setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 "
    "setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid "
    "setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown "
    "sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat "
    "stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs "
    "sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime "
    "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime "
    "timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 "
    "ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes "
    "vfork vmsplice wait4 waitid waitpid write writev";

// From 4.8 on the kernel checks a traced system call after the tracer had its chance to change it,
// so that tracing is no way around the filter any more.
constexpr common::KernelVersion kPtraceIsSafe{4, 8};
constexpr std::string_view kTracing = "process_vm_readv process_vm_writev ptrace";

struct ArchitectureRule {
  std::string_view architectures;
  std::string_view names;
};
constexpr std::array<ArchitectureRule, 6> kByArchitecture = {{
    {"ppc64le", "swapcontext sync_file_range2"},
    {"arm arm64",
     "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"},
    {"amd64", "arch_prctl modify_ldt"},
    {"386", "modify_ldt"},
    {"s390 s390x", "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"},
    {"riscv64", "riscv_flush_icache riscv_hwprobe"},
}};

struct CapabilityRule {
  std::string_view capability;
  std::string_view names;
};
constexpr std::array<CapabilityRule, 14> kByCapability = {{
    {"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
    {"CAP_SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount "
     "mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
     "sethostname setns syslog umount umount2 unshare"},
    {"CAP_SYS_BOOT", "reboot"},
    {"CAP_SYS_CHROOT", "chroot"},
    {"CAP_SYS_MODULE", "delete_module finit_module init_module"},
    {"CAP_SYS_PACCT", "acct"},
    {"CAP_SYS_PTRACE",
     "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"},
    {"CAP_SYS_RAWIO", "ioperm iopl"},
    {"CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"CAP_SYS_TTY_CONFIG", "vhangup"},
    {"CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"CAP_SYSLOG", "syslog"},
    {"CAP_BPF", "bpf"},
    {"CAP_PERFMON", "perf_event_open"},
}};

// New namespaces are for those who may administer the system.
constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

// Personalities without the bits that weaken address space randomisation: none, PER_LINUX32,
// UNAME26, both, and the query.
constexpr std::array<uint64_t, 5> kPersonalities = {0x0, 0x0008, 0x20000, 0x20008, 0xffffffff};

bool has(uint64_t capabilities, std::string_view name) {
  return (capabilities & common::capabilityBit(*common::capabilityNumber(name))) != 0;
}

bool listed(std::string_view list, std::string_view item) {
  const std::vector<std::string_view> items = common::split(list, ' ');
  return std::find(items.begin(), items.end(), item) != items.end();
}

bj::object argument(unsigned index, uint64_t value, std::string_view operation) {
  return {{"index", index}, {"value", value}, {"op", operation}};
}

void allow(bj::array& rules, std::string_view names, bj::array arguments = {}) {
  bj::array known;
  for (std::string_view name : common::split(names, ' '))
    if (isSystemCall(std::string(name))) known.emplace_back(name);
  if (known.empty()) return;
  bj::object rule{{"names", std::move(known)}, {"action", "SCMP_ACT_ALLOW"}};
  if (!arguments.empty()) rule["args"] = std::move(arguments);
  rules.emplace_back(std::move(rule));
}

// Every family but AF_ALG, whose parsers are the kernel's weak spot, and AF_VSOCK, which reaches
// the hypervisor. One comparison a rule: runtimes take several of one argument as alternatives.
void allowSockets(bj::array& rules) {
  allow(rules, "socket", {argument(0, AF_ALG, "SCMP_CMP_LT")});
  for (uint64_t family = AF_ALG + 1; family < AF_VSOCK; ++family)
    allow(rules, "socket", {argument(0, family, "SCMP_CMP_EQ")});
  allow(rules, "socket", {argument(0, AF_VSOCK, "SCMP_CMP_GT")});
}

// clone() may make processes and threads, not namespaces. The flags of clone3() lie in memory that
// a filter cannot see; ENOSYS makes libraries fall back to clone().
void allowPlainClone(bj::array& rules, std::string_view architecture) {
  bj::object flags =
      argument(listed("s390 s390x", architecture) ? 1 : 0, kNamespaceFlags, "SCMP_CMP_MASKED_EQ");
  flags["valueTwo"] = 0;
  allow(rules, "clone", {std::move(flags)});
  if (isSystemCall("clone3"))
    rules.push_back({{"names", {"clone3"}}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", ENOSYS}});
}

bj::object build(const SeccompConditions& conditions) {
  bj::array rules;
  allow(rules, kAlways);
  allowSockets(rules);
  for (uint64_t personality : kPersonalities)
    allow(rules, "personality", {argument(0, personality, "SCMP_CMP_EQ")});
  if (conditions.kernel >= kPtraceIsSafe) allow(rules, kTracing);
  for (const ArchitectureRule& rule : kByArchitecture)
    if (listed(rule.architectures, conditions.architecture)) allow(rules, rule.names);
  for (const CapabilityRule& rule : kByCapability)
    if (has(conditions.capabilities, rule.capability)) allow(rules, rule.names);
  if (!has(conditions.capabilities, "CAP_SYS_ADMIN"))
    allowPlainClone(rules, conditions.architecture);

  bj::object profile{{"defaultAction", "SCMP_ACT_ERRNO"}, {"defaultErrnoRet", EPERM}};
  std::vector<std::string> names = seccompArchitectures(conditions.architecture);
  if (!conditions.x32) std::erase(names, "SCMP_ARCH_X32");
  if (!names.empty()) profile["architectures"] = jsonTexts(names);
  profile["syscalls"] = std::move(rules);
  return profile;
}

// Only these bits make a difference to the profile.
uint64_t relevant(uint64_t capabilities) {
  uint64_t mask = 0;
  for (const CapabilityRule& rule : kByCapability)
    mask |= common::capabilityBit(*common::capabilityNumber(rule.capability));
  return capabilities & mask;
}

}  // namespace

bj::object defaultSeccompProfile(const SeccompConditions& conditions) {
  using Key = std::tuple<uint64_t, std::string, bool, bool>;
  // Nodes see a handful of capability sets; what a strange workload adds does not pile up.
  constexpr size_t kMaximumProfiles = 16;
  static std::mutex mutex;
  static std::map<Key, bj::object> profiles;

  const Key key{relevant(conditions.capabilities), conditions.architecture,
                conditions.kernel >= kPtraceIsSafe, conditions.x32};
  const std::lock_guard lock(mutex);
  const auto found = profiles.find(key);
  if (found != profiles.end()) return found->second;
  if (profiles.size() >= kMaximumProfiles) profiles.clear();
  return profiles.emplace(key, build(conditions)).first->second;
}

std::vector<std::string> seccompArchitectures(std::string_view architecture) {
  struct Family {
    std::string_view architecture;
    std::string_view names;
  };
  static constexpr std::array<Family, 13> kFamilies = {{
      {"386", "SCMP_ARCH_X86"},
      {"amd64", "SCMP_ARCH_X86_64 SCMP_ARCH_X86 SCMP_ARCH_X32"},
      {"arm", "SCMP_ARCH_ARM"},
      {"arm64", "SCMP_ARCH_AARCH64 SCMP_ARCH_ARM"},
      {"mips64", "SCMP_ARCH_MIPS64 SCMP_ARCH_MIPS SCMP_ARCH_MIPS64N32"},
      {"mips64le", "SCMP_ARCH_MIPSEL64 SCMP_ARCH_MIPSEL SCMP_ARCH_MIPSEL64N32"},
      {"mipsle", "SCMP_ARCH_MIPSEL"},
      {"ppc64", "SCMP_ARCH_PPC64"},
      {"ppc64le", "SCMP_ARCH_PPC64LE"},
      {"s390x", "SCMP_ARCH_S390X SCMP_ARCH_S390"},
      {"s390", "SCMP_ARCH_S390"},
      {"riscv64", "SCMP_ARCH_RISCV64"},
      {"loong64", "SCMP_ARCH_LOONGARCH64"},
  }};
  for (const Family& family : kFamilies)
    if (family.architecture == architecture) {
      const std::vector<std::string_view> names = common::split(family.names, ' ');
      return {names.begin(), names.end()};
    }
  return {};
}

bool isSystemCall(const std::string& name) {
  return seccomp_syscall_resolve_name(name.c_str()) != __NR_SCMP_ERROR;
}

}  // namespace berth::spec
