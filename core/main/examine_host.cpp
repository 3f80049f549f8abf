#include <chrono>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/criu.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/refusal.hpp"
#include "engine/volumes/mapped_mounts.hpp"
#include "main/examination.hpp"
#include "main/surroundings.hpp"
#include "main/wiring.hpp"

namespace berth::program {

using plugins::Finding;
using support::strCat;

namespace {

std::string programPath(std::string_view name) {
  for (const char* directory :
       {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}) {
    std::string path = strCat(directory, "/", name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Finding programRow(std::string_view name, std::string_view meaning) {
  const std::string path = programPath(name);
  if (!path.empty()) return {BERTH_FINDING_OK, std::string(name), path};
  return {BERTH_FINDING_LIMITED, std::string(name), strCat("not installed: ", meaning)};
}

Finding yesNo(std::string_view what, bool present, berth_finding_kind without, std::string_view yes,
              std::string_view no) {
  return {present ? BERTH_FINDING_OK : without, std::string(what), std::string(present ? yes : no)};
}

Finding appArmorRow(const common::HostFacts& host) {
  if (host.appArmor && host.appArmorParser.empty())
    return {BERTH_FINDING_LIMITED, "AppArmor",
            "enabled, but apparmor_parser is not installed: containers are not confined, unless a "
            "profile is loaded already"};
  return yesNo("AppArmor", host.appArmor, BERTH_FINDING_LIMITED, "enabled", "not enabled");
}

Finding seLinuxRow(const common::HostFacts& host) {
  if (host.seLinux && host.seLinuxProcessContext.empty())
    return {BERTH_FINDING_LIMITED, "SELinux",
            "enabled, but the policy knows no containers: they get no labels"};
  return yesNo("SELinux", host.seLinux, BERTH_FINDING_LIMITED, "enabled", "not enabled");
}

Finding criuRow() {
  const std::string path = programPath("criu");
  if (path.empty())
    return {BERTH_FINDING_LIMITED, "criu", "not installed: checkpoints are refused"};
  constexpr auto kTime = std::chrono::seconds(30);
  const absl::Status works =
      support::checkCriu({.deadline = std::chrono::steady_clock::now() + kTime});
  if (works.ok()) return {BERTH_FINDING_OK, "criu", path};
  return {BERTH_FINDING_LIMITED, "criu",
          strCat("checkpoints are refused: ", support::fromAbsl(works.message()))};
}

std::string cgroupText(const common::HostFacts& host) {
  switch (host.cgroupMode) {
    case common::CgroupMode::kLegacy:
      return "version 1";
    case common::CgroupMode::kHybrid:
      return "version 1 controllers, version 2 beside them";
    case common::CgroupMode::kUnified:
      return "version 2";
  }
  return "";
}

// System calls without which nothing works here; each is tried in a way that changes nothing.
std::string missingSystemCalls() {
  std::string missing;
  const auto demand = [&](std::string_view name, long result) {
    if (result >= 0) ::close(static_cast<int>(result));
    if (result < 0 && errno == ENOSYS) missing += strCat(missing.empty() ? "" : ", ", name);
  };
  demand("pidfd_open", ::syscall(SYS_pidfd_open, ::getpid(), 0));
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  demand("openat2", ::syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how));
  // No descriptor and no structure of these: EBADF and EINVAL where the calls exist.
  demand("open_tree", ::syscall(SYS_open_tree, -1, "x", 0));
  demand("close_range", ::syscall(SYS_close_range, 1, 0, 0));
  demand("clone3", ::syscall(SYS_clone3, nullptr, 0));
  return missing;
}

std::string versionOf(const common::HostFacts& host) {
  return strCat(host.kernel.major, ".", host.kernel.minor);
}

Finding demanded(std::string_view what, const absl::Status& status, std::string_view met) {
  if (status.ok()) return {BERTH_FINDING_OK, std::string(what), std::string(met)};
  return {BERTH_FINDING_REFUSED, std::string(what),
          std::string(support::fromAbsl(status.message()))};
}

Finding mappedMountsRow(const config::Config& config, const common::HostFacts& host) {
  const bool works = host.userNamespaces && volumes::idMappingWorks(existingPart(config.root));
  return yesNo("idmapped mounts", works, BERTH_FINDING_LIMITED, strCat("work for ", config.root),
               strCat("do not work for ", config.root,
                      ": pods with user namespaces cannot use volumes from there"));
}

}  // namespace

absl::Status demandRoot() {
  if (::geteuid() == 0) return absl::OkStatus();
  return common::refusal(absl::PermissionDeniedError("berthd must run as root"));
}

absl::Status demandKernel(const common::HostFacts& host) {
  const std::string missing = missingSystemCalls();
  if (missing.empty()) return absl::OkStatus();
  return common::refusal(
      absl::FailedPreconditionError(strCat("the kernel, Linux ", versionOf(host), ", lacks ",
                                           missing, "; Linux 5.9 and newer have them")));
}

absl::Status demandCgroups(const common::HostFacts& host) {
  if (!host.cgroupsReadOnly) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the cgroups of this host are mounted read-only, and each container gets one: remount what "
      "is below /sys/fs/cgroup writable, or give that right to the container with the daemon");
}

std::vector<Finding> examineHost(const config::Config& config, const common::HostFacts& host) {
  constexpr auto kLimited = BERTH_FINDING_LIMITED;
  return {
      demanded("root", demandRoot(), "running as root"),
      demanded("kernel", demandKernel(host), versionOf(host)),
      demanded("cgroups", demandCgroups(host), cgroupText(host)),
      {BERTH_FINDING_OK, "cgroup driver",
       cgroupDriver(config) == spec::CgroupDriver::kSystemd ? "systemd" : "cgroupfs"},
      yesNo("seccomp", host.seccomp, kLimited, "filters work", "containers cannot be filtered"),
      yesNo("user namespaces", host.userNamespaces, kLimited, "work",
            "pods with user namespaces are refused"),
      mappedMountsRow(config, host),
      appArmorRow(host),
      seLinuxRow(host),
      yesNo("swap accounting", host.swapAccounting, kLimited, "works", "swap limits are ignored"),
      yesNo("CAP_SYS_RESOURCE", host.hasSysResource(), kLimited, "held",
            "oom_score_adj and rlimits are clamped to the daemon's own"),
      criuRow(),
      programRow("iptables", "host ports and masquerading need it"),
      yesNo("/dev/kvm", ::access("/dev/kvm", R_OK | W_OK) == 0, kLimited, "usable",
            "virtual machine runtimes need it")};
}

}  // namespace berth::program
