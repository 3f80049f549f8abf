#include "common/capability_names.hpp"

#include <array>

#include "common/text.hpp"

namespace berth::common {
namespace {

// The index is the number in linux/capability.h.
constexpr std::array<std::string_view, kCapabilityCount> kNames = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

constexpr std::string_view kPrefix = "CAP_";

}  // namespace

std::optional<int> capabilityNumber(std::string_view name) {
  if (equalIgnoringCase(name.substr(0, kPrefix.size()), kPrefix))
    name.remove_prefix(kPrefix.size());
  for (int number = 0; number < kCapabilityCount; ++number)
    if (equalIgnoringCase(name, kNames[static_cast<size_t>(number)].substr(kPrefix.size())))
      return number;
  return std::nullopt;
}

std::string_view capabilityName(int number) {
  return kNames[static_cast<size_t>(number)];
}

std::vector<std::string> capabilityNames(uint64_t mask) {
  std::vector<std::string> names;
  for (int number = 0; number < kCapabilityCount; ++number)
    if ((mask & capabilityBit(number)) != 0) names.emplace_back(capabilityName(number));
  return names;
}

}  // namespace berth::common
