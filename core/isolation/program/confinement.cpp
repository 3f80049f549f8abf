#include "isolation/program/confinement.hpp"

#include <cerrno>
#include <linux/capability.h>
#include <memory>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <seccomp.h>

#include "berth/image_source.h"
#include "berth/network.h"
#include "berth/runtime.h"
#include "berth/snapshotter.h"
#include "berth/support/status.hpp"

namespace berth::isolation {

using support::errnoStatus;
using support::strCat;

namespace {

constexpr int kHighestCapability = 63;

absl::Status keepCapabilities(uint64_t keep) {
  for (int number = 0; number <= kHighestCapability; ++number) {
    // EINVAL: the kernel knows no further ones. EPERM: it may not, and then has little to give up.
    if ((keep >> number & 1) == 0 && ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 &&
        errno != EINVAL && errno != EPERM)
      return errnoStatus(errno, "give up capabilities");
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return errnoStatus(errno, "read capabilities");
  for (int half = 0; half < 2; ++half) {
    const auto mask = static_cast<uint32_t>(keep >> (32 * half));
    data[half].permitted &= mask;
    data[half].effective &= mask;
    data[half].inheritable &= mask;
  }
  if (::syscall(SYS_capset, &header, data) != 0) return errnoStatus(errno, "give up capabilities");
  return absl::OkStatus();
}

// Nothing that a plugin does, nor a program that it starts.
const std::vector<const char*> kOfTheMachine = {"kexec_load",    "kexec_file_load", "reboot",
                                                "swapon",        "swapoff",         "acct",
                                                "iopl",          "ioperm",          "vm86",
                                                "modify_ldt",    "settimeofday",    "clock_settime",
                                                "clock_adjtime", "adjtimex",        "nfsservctl",
                                                "uselib",        "lookup_dcookie",  "quotactl_fd"};
// Other processes' memory, the kernel's keys, and ways into the kernel that are known for holes.
const std::vector<const char*> kOfOthers = {
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp",        "process_madvise",
    "keyctl", "add_key",          "request_key",       "userfaultfd", "perf_event_open"};
// Programs that networks start load modules of the packet filter, and programs of BPF.
const std::vector<const char*> kOfTheKernel = {"init_module", "finit_module", "delete_module",
                                               "bpf"};
// What changes mounts and namespaces.
const std::vector<const char*> kOfNamespaces = {
    "mount",         "umount2", "pivot_root", "chroot",      "setns",        "unshare",
    "fsopen",        "fsmount", "fsconfig",   "fspick",      "move_mount",   "open_tree",
    "mount_setattr", "mknod",   "mknodat",    "sethostname", "setdomainname"};

// A runtime starts containers, which inherit what is refused here: a privileged one may load
// modules or trace. Only the capabilities bound it.
std::vector<const char*> refusedFor(std::string_view interfaceId) {
  std::vector<const char*> refused;
  const auto add = [&refused](const std::vector<const char*>& more) {
    refused.insert(refused.end(), more.begin(), more.end());
  };
  if (interfaceId == BERTH_RUNTIME_INTERFACE) return refused;
  add(kOfTheMachine);
  add(kOfOthers);
  if (interfaceId == BERTH_NETWORK_INTERFACE) return refused;
  add(kOfTheKernel);
  if (interfaceId == BERTH_IMAGE_SOURCE_INTERFACE) add(kOfNamespaces);
  return refused;
}

absl::Status refuseCalls(const std::vector<const char*>& names) {
  if (names.empty()) return absl::OkStatus();
  const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(SCMP_ACT_ALLOW),
                                                                   &::seccomp_release);
  if (filter == nullptr) return absl::ResourceExhaustedError("make a filter of system calls");
  const bool privileged = ::geteuid() == 0;
  // Programs with capabilities of their own keep them where the filter can do without.
  if (privileged) ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0);
  for (const char* name : names) {
    const int number = ::seccomp_syscall_resolve_name(name);
    // What this machine or library does not know cannot be called by that name.
    if (number == __NR_SCMP_ERROR || number < 0) continue;
    if (const int failed = ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 0);
        failed != 0)
      return errnoStatus(-failed, strCat("refuse the system call ", name));
  }
  if (const int failed = ::seccomp_load(filter.get()); failed != 0) {
    // Without the capability for it only with the promise that no program gains any.
    ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 1);
    if (const int again = ::seccomp_load(filter.get()); again != 0)
      return errnoStatus(-again, "load the filter of system calls");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status confine(std::string_view interfaceId, uint64_t keep) {
  // The filter first: loading it may need a capability that is about to go.
  BERTH_RETURN_IF_ERROR(refuseCalls(refusedFor(interfaceId)));
  return keepCapabilities(keep);
}

}  // namespace berth::isolation
