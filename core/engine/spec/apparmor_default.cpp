#include "engine/spec/apparmor_default.hpp"

#include <chrono>

#include <absl/strings/str_replace.h>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::spec {
namespace {

using support::strCat;

constexpr auto kLoadTime = std::chrono::seconds(30);

// Capabilities, the network and files are limited by other means: here they are allowed, and what
// would change the host is taken away again. Mounts are not mentioned, and so denied.
constexpr std::string_view kRules = R"(
  capability,
  network,
  unix,
  file,
  umount,

  # Whoever ends the container from outside, and processes inside among themselves.
  signal (receive) peer=unconfined,
  signal (receive) peer={,/usr}/{,s}bin/{runc,crun},
  signal (receive) peer={runc,crun},
  signal (send, receive) peer=@PROFILE@,
  ptrace (read, readby, trace, tracedby) peer=@PROFILE@,

  # Files of the kernel that concern the whole host.
  deny /proc/{sysrq-trigger,kcore,kmem,mem,kallsyms} rwklx,
  deny /proc/{acpi,asound,bus,driver,fs,irq,scsi,tty}/** wklx,
  deny /proc/{mtrr,timer_list,timer_stats,sched_debug,slabinfo,vmallocinfo} wklx,

  # Kernel parameters: those of the network, of message queues and of System V IPC belong to
  # namespaces.
  deny /proc/sys/{abi,crypto,debug,dev,sunrpc,user,vm}/** wklx,
  deny /proc/sys/fs/{[^m]*,m[^q]*} wklx,
  deny /proc/sys/fs/{[^m]*,m[^q]*}/** wklx,
  deny /proc/sys/kernel/{[^dhms]*,d[^o]*,h[^o]*,ho[^s]*,m[^s]*,s[^eh]*} wklx,
  deny /proc/sys/kernel/*/** wklx,

  # All of sysfs but control groups.
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/{[^c]*,c[^g]*}/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/{debug,security,tracing}/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
}
)";

std::string include(const std::string& includes, std::string_view keyword, std::string_view part) {
  if (!support::pathExists(strCat(includes, "/", part))) return {};
  return strCat(keyword, " <", part, keyword == "abi" ? ">,\n" : ">\n");
}

}  // namespace

std::string defaultAppArmorProfile(const std::string& includes) {
  return strCat(include(includes, "abi", "abi/3.0"),
                include(includes, "#include", "tunables/global"), "\nprofile ",
                kDefaultAppArmorProfile, " flags=(attach_disconnected,mediate_deleted) {\n",
                include(includes, "  #include", "abstractions/base"),
                absl::StrReplaceAll(support::toAbsl(kRules),
                                    {{"@PROFILE@", support::toAbsl(kDefaultAppArmorProfile)}}));
}

absl::Status loadDefaultAppArmorProfile(const common::HostFacts& host) {
  if (host.appArmorParser.empty())
    return absl::FailedPreconditionError(
        strCat("the AppArmor profile ", kDefaultAppArmorProfile,
               " cannot be loaded, for apparmor_parser is not installed (package apparmor)"));
  const absl::StatusOr<support::Output> output = support::run(
      {.argv = {host.appArmorParser, "--replace", "--skip-cache", "--quiet"}},
      defaultAppArmorProfile(), {.deadline = std::chrono::steady_clock::now() + kLoadTime});
  const std::string doing = strCat("load the AppArmor profile ", kDefaultAppArmorProfile);
  if (!output.ok()) return support::annotate(output.status(), doing);
  if (output->exitCode == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      strCat(doing, ": ", host.appArmorParser, ": ", common::trimmed(output->standardError)));
}

}  // namespace berth::spec
