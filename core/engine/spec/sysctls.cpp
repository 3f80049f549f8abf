#include "engine/spec/sysctls.hpp"

#include <algorithm>
#include <array>

#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/namespaces.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

// What each IPC namespace has of its own (ipc_namespaces(7)).
constexpr std::array<std::string_view, 12> kIpc = {
    "kernel.auto_msgmni",     "kernel.msg_next_id", "kernel.msgmax",      "kernel.msgmnb",
    "kernel.msgmni",          "kernel.sem",         "kernel.sem_next_id", "kernel.shm_next_id",
    "kernel.shm_rmid_forced", "kernel.shmall",      "kernel.shmmax",      "kernel.shmmni"};
constexpr std::string_view kQueues = "fs.mqueue.";
constexpr std::string_view kNetwork = "net.";
constexpr std::string_view kDomainName = "kernel.domainname";

// When the first separator is a slash, slashes separate and dots are part of names; in the form
// with dots it is the other way round.
std::string withDots(std::string name) {
  const size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '.') return name;
  for (char& c : name) c = c == '/' ? '.' : c == '.' ? '/' : c;
  return name;
}

bool isWellFormed(std::string_view name) {
  for (char c : name)
    if (!common::isAlphanumeric(c) && std::string_view("._-/").find(c) == std::string_view::npos)
      return false;
  // As a path below /proc/sys it must not lead elsewhere.
  for (std::string_view part : common::split(name, '.'))
    if (part.empty() || part.starts_with('/') || part.ends_with('/')) return false;
  return true;
}

absl::Status checkNamespace(const std::string& name, const PodNamespaces& pod) {
  const auto inHosts = [&](std::string_view kind) {
    return absl::InvalidArgumentError(support::strCat(
        "sysctl \"", name, "\" is not allowed: the pod uses the host's ", kind, " namespace"));
  };
  if (name.starts_with(kNetwork)) return pod.network ? absl::OkStatus() : inHosts("network");
  if (name.starts_with(kQueues) || std::find(kIpc.begin(), kIpc.end(), name) != kIpc.end())
    return pod.ipc ? absl::OkStatus() : inHosts("IPC");
  if (name == kDomainName) return pod.uts ? absl::OkStatus() : inHosts("UTS");
  return absl::InvalidArgumentError(support::strCat(
      "sysctl \"", name, "\" is not in a namespace of its own, so that a pod cannot set it"));
}

}  // namespace

absl::StatusOr<Sysctls> podSysctls(const runtime::v1::PodSandboxConfig& config,
                                   const Sysctls& defaults) {
  BERTH_ASSIGN_OR_RETURN(const PodNamespaces pod, podNamespaces(config));
  Sysctls result;
  for (const auto& [given, value] : sorted(config.linux().sysctls())) {
    BERTH_RETURN_IF_ERROR(checkText(given, "the name of a sysctl"));
    BERTH_RETURN_IF_ERROR(checkText(value, support::strCat("sysctl \"", given, "\"")));
    const std::string name = withDots(given);
    if (!isWellFormed(name))
      return absl::InvalidArgumentError(
          support::strCat("sysctl \"", given, "\" is not the name of a kernel parameter"));
    BERTH_RETURN_IF_ERROR(checkNamespace(name, pod));
    if (!result.emplace(name, value).second)
      return absl::InvalidArgumentError(support::strCat("sysctl \"", name, "\" is given twice"));
  }
  for (const auto& [name, value] : defaults) {
    // Hardly any pod's user namespace maps those of a default.
    if (pod.user && name == kPingGroups) continue;
    if (checkNamespace(name, pod).ok()) result.emplace(name, value);
  }
  return result;
}

}  // namespace berth::spec
