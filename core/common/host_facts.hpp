// What this host and this daemon's place on it allow: read once at start, handed to whatever has
// to decide by it, so that those decisions can be tested without such a host.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::common {

enum class CgroupMode {
  kLegacy,   // version 1 alone
  kHybrid,   // version 1 controllers, and version 2 beside them without controllers
  kUnified,  // version 2 alone
};

struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;
  bool operator==(const KernelVersion&) const = default;
  bool operator>=(const KernelVersion& other) const {
    return major != other.major ? major > other.major : minor >= other.minor;
  }
};

struct ResourceLimit {
  static constexpr uint64_t kInfinity = UINT64_MAX;  // RLIM_INFINITY
  uint64_t soft = kInfinity;
  uint64_t hard = kInfinity;
  bool operator==(const ResourceLimit&) const = default;
};

struct HostFacts {
  // Bit n is capability n. What a program started by this daemon can be given …
  uint64_t capabilities = 0;
  // … and all that this kernel has, which is what the root of a new user namespace gets.
  uint64_t kernelCapabilities = 0;
  int oomScoreAdj = 0;                           // this daemon's own
  std::map<std::string, ResourceLimit> rlimits;  // this daemon's own, by "RLIMIT_NOFILE"
  uint64_t maximumOpenFiles = 1048576;           // fs.nr_open: no RLIMIT_NOFILE above it
  CgroupMode cgroupMode = CgroupMode::kUnified;
  // Mount options of the host's cgroup2 that a mount from its own cgroup namespace would change.
  std::vector<std::string> cgroup2Options;
  bool cgroupsReadOnly = false;  // all of them, as in a container without rights
  bool hugetlb = false;          // the hugetlb controller
  bool swapAccounting = false;   // swap can be limited by cgroup
  bool appArmor = false;
  std::string appArmorParser;  // the program that loads profiles; empty: not installed
  bool seLinux = false;
  // "user:role:type:level" of containers and of their files by this host's policy; empty when it
  // knows no containers.
  std::string seLinuxProcessContext;
  std::string seLinuxFileContext;
  // Writing a context there fails when the policy does not have it; empty: it is not asked.
  std::string seLinuxCheckPath;
  bool seccomp = false;  // seccomp filters
  // Whether the kernel runs programs of the x32 ABI, which amd64 kernels may and rarely do.
  bool x32 = false;
  bool userNamespaces = false;
  bool inUserNamespace = false;  // this daemon itself is in one that maps only some ids
  // Whether the file system of the daemon's own directories can be mounted with mapped ids; found
  // out by trying, not by collectHostFacts(). Others may differ.
  bool idmappedMounts = false;
  KernelVersion kernel;
  std::string architecture;  // as in image configurations: "amd64", "arm64"
  std::string hostname;
  // Names of loaded profiles, one "name (mode)" a line; asked anew each time, for profiles come
  // and go.
  std::string appArmorProfilesPath = "/sys/kernel/security/apparmor/profiles";

  bool has(int capability) const { return (capabilities >> capability & 1) != 0; }
  // Whether limits and OOM scores may be changed in the direction that costs others.
  bool hasSysResource() const;
};

// Where the kernel shows itself; other places than these are for tests.
struct HostRoots {
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::string etc = "/etc";
  std::string usr = "/usr";
};

// Reads what is needed from /proc and /sys, and asks the kernel what it does not show there.
// Optional parts that are missing are reported as absent; errors are those of files that every
// Linux has. Blocks on these file systems; any thread.
absl::StatusOr<HostFacts> collectHostFacts(const HostRoots& roots = {});

// GOARCH names, as images use them, for uname's: "x86_64" is "amd64". Unknown ones stay.
std::string architectureName(const std::string& machine);

}  // namespace berth::common
