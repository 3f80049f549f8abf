#include "common/host_facts.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utility>

#include "berth/support/files.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "common/capability_names.hpp"
#include "common/text.hpp"

namespace berth::common {
namespace {

using support::pathExists;
using support::readFile;

constexpr std::array<std::pair<std::string_view, int>, 16> kLimits = {{
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
}};

// The file's text without white space around it, or nothing when there is no such file.
std::optional<std::string> optionalText(const std::string& path) {
  absl::StatusOr<std::string> text = readFile(path, 1u << 20);
  if (!text.ok()) return std::nullopt;
  return std::string(trimmed(*text));
}

absl::StatusOr<uint64_t> hexMember(std::string_view status, std::string_view key) {
  for (std::string_view line : split(status, '\n')) {
    if (!line.starts_with(key)) continue;
    if (const auto value = parseNumber<uint64_t>(trimmed(line.substr(key.size())), 16))
      return *value;
    break;
  }
  return absl::InternalError(
      support::strCat("read the status of this process: no number in ", key));
}

absl::Status readCapabilities(const HostRoots& roots, HostFacts& facts) {
  BERTH_ASSIGN_OR_RETURN(const std::string status, readFile(roots.proc + "/self/status", 1u << 20));
  BERTH_ASSIGN_OR_RETURN(const uint64_t effective, hexMember(status, "CapEff:"));
  BERTH_ASSIGN_OR_RETURN(const uint64_t bounding, hexMember(status, "CapBnd:"));
  // Root's programs get what the bounding set leaves; what this process has given up it does not
  // hand out either.
  facts.capabilities = effective & bounding;
  int last = kCapabilityCount - 1;
  if (const auto text = optionalText(roots.proc + "/sys/kernel/cap_last_cap"))
    last = parseNumber<int>(*text).value_or(last);
  last = std::clamp(last, 0, 62);
  facts.kernelCapabilities = capabilityBit(last + 1) - 1;
  return absl::OkStatus();
}

absl::Status readLimits(const HostRoots& roots, HostFacts& facts) {
  for (const auto& [name, resource] : kLimits) {
    rlimit limit{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0)
      return support::errnoStatus(errno, support::strCat("read the limit ", name));
    facts.rlimits[std::string(name)] = {.soft = limit.rlim_cur, .hard = limit.rlim_max};
  }
  if (const auto text = optionalText(roots.proc + "/sys/fs/nr_open")) {
    facts.maximumOpenFiles = parseNumber<uint64_t>(*text).value_or(facts.maximumOpenFiles);
  }
  BERTH_ASSIGN_OR_RETURN(const std::string score, readFile(roots.proc + "/self/oom_score_adj", 64));
  const auto adjustment = parseNumber<int>(trimmed(score));
  if (!adjustment) return absl::InternalError("read oom_score_adj of this process: not a number");
  facts.oomScoreAdj = *adjustment;
  return absl::OkStatus();
}

std::vector<std::string> texts(std::string_view text, char separator) {
  const std::vector<std::string_view> parts = split(text, separator);
  return {parts.begin(), parts.end()};
}

template <typename Text>
bool contains(const std::vector<Text>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

struct CgroupMount {
  std::string point;
  std::string type;
  std::vector<std::string> options;  // of the superblock
  bool readOnly = false;             // by the mount's own options, or by those
};

// proc_pid_mountinfo(5): the fields after " - " are type, source, and superblock options.
std::vector<CgroupMount> cgroupMounts(std::string_view mountInfo) {
  std::vector<CgroupMount> mounts;
  for (std::string_view line : split(mountInfo, '\n')) {
    const size_t separator = line.find(" - ");
    if (separator == std::string_view::npos) continue;
    const std::vector<std::string_view> front = split(line.substr(0, separator), ' ');
    const std::vector<std::string_view> back = split(line.substr(separator + 3), ' ');
    if (front.size() < 6 || back.size() < 3 || !back[0].starts_with("cgroup")) continue;
    mounts.push_back(
        {.point = std::string(front[4]),
         .type = std::string(back[0]),
         .options = texts(back[2], ','),
         .readOnly = contains(split(front[5], ','), "ro") || contains(split(back[2], ','), "ro")});
  }
  return mounts;
}

// The path of a mount point below /sys, seen through `roots`.
std::string below(const HostRoots& roots, const std::string& point) {
  return point.starts_with("/sys/") ? roots.sys + point.substr(4) : point;
}

bool unifiedSwapAccounting(const HostRoots& roots) {
  // The root cgroup has no such file, so that a daemon there has to ask any cgroup below it.
  const std::string root = roots.sys + "/fs/cgroup";
  if (const auto own = optionalText(roots.proc + "/self/cgroup")) {
    const std::string cgroup = support::unifiedCgroupIn(*own);
    if (!cgroup.empty() && cgroup != "/")
      return pathExists(support::strCat(root, cgroup, "/memory.swap.max"));
  }
  const absl::StatusOr<std::vector<std::string>> names = support::listDirectory(root);
  return names.ok() && std::any_of(names->begin(), names->end(), [&](const std::string& name) {
           return pathExists(support::strCat(root, "/", name, "/memory.swap.max"));
         });
}

absl::Status readCgroups(const HostRoots& roots, HostFacts& facts) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, readFile(roots.proc + "/self/mountinfo"));
  const std::vector<CgroupMount> mounts = cgroupMounts(text);
  facts.cgroupsReadOnly =
      !mounts.empty() && std::all_of(mounts.begin(), mounts.end(),
                                     [](const CgroupMount& mount) { return mount.readOnly; });
  facts.cgroupMode = CgroupMode::kLegacy;
  for (const CgroupMount& mount : mounts) {
    if (mount.type == "cgroup2") {
      if (mount.point == "/sys/fs/cgroup") {
        facts.cgroupMode = CgroupMode::kUnified;
        for (const char* option : {"nsdelegate", "memory_recursiveprot"})
          if (contains(mount.options, option)) facts.cgroup2Options.emplace_back(option);
      } else if (facts.cgroupMode == CgroupMode::kLegacy) {
        facts.cgroupMode = CgroupMode::kHybrid;
      }
      continue;
    }
    if (contains(mount.options, "hugetlb")) facts.hugetlb = true;
    if (contains(mount.options, "memory") &&
        pathExists(below(roots, mount.point) + "/memory.memsw.limit_in_bytes"))
      facts.swapAccounting = true;
  }
  if (facts.cgroupMode == CgroupMode::kUnified) {
    const auto controllers = optionalText(roots.sys + "/fs/cgroup/cgroup.controllers");
    facts.hugetlb = controllers && contains(texts(*controllers, ' '), "hugetlb");
    facts.swapAccounting = unifiedSwapAccounting(roots);
  }
  return absl::OkStatus();
}

// The value of "name = value" in a file of such lines; quotes are not part of it.
std::string assigned(std::string_view text, std::string_view name) {
  for (std::string_view line : split(text, '\n')) {
    line = trimmed(line);
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || line.starts_with('#') || line.starts_with(';'))
      continue;
    if (trimmed(line.substr(0, equals)) != name) continue;
    std::string_view value = trimmed(line.substr(equals + 1));
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"'))
      value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return {};
}

// Whether the loaded policy has the context. selinuxfs refuses those that it does not have.
bool isKnownContext(const std::string& checkPath, const std::string& context) {
  const absl::Status written = support::writeControlFile(checkPath, context);
  return written.ok() || absl::IsNotFound(written);
}

// selinux(8), "contexts": policies for containers say what their processes and files are. Debian's
// names types that it does not define.
void readSeLinux(const HostRoots& roots, HostFacts& facts) {
  facts.seLinux = pathExists(roots.sys + "/fs/selinux/enforce");
  if (!facts.seLinux) return;
  facts.seLinuxCheckPath = roots.sys + "/fs/selinux/context";
  const std::string policy =
      assigned(optionalText(roots.etc + "/selinux/config").value_or(""), "SELINUXTYPE");
  for (const std::string& path :
       {roots.usr + "/share/containers/selinux/contexts",
        support::strCat(roots.etc, "/selinux/", policy, "/contexts/lxc_contexts")}) {
    const auto contexts = optionalText(path);
    if (!contexts) continue;
    facts.seLinuxProcessContext = assigned(*contexts, "process");
    facts.seLinuxFileContext = assigned(*contexts, "file");
    if (!isKnownContext(facts.seLinuxCheckPath, facts.seLinuxProcessContext) ||
        !isKnownContext(facts.seLinuxCheckPath, facts.seLinuxFileContext)) {
      facts.seLinuxProcessContext.clear();
      facts.seLinuxFileContext.clear();
    }
    return;
  }
}

std::string findAppArmorParser(const HostRoots& roots) {
  std::string path = roots.usr + "/sbin/apparmor_parser";
  return pathExists(path) ? path : std::string();
}

void readSecurityModules(const HostRoots& roots, HostFacts& facts) {
  const auto appArmor = optionalText(roots.sys + "/module/apparmor/parameters/enabled");
  facts.appArmorProfilesPath = roots.sys + "/kernel/security/apparmor/profiles";
  // Without securityfs profiles cannot be looked up, let alone be loaded.
  facts.appArmor = appArmor && appArmor->starts_with('Y') && pathExists(facts.appArmorProfilesPath);
  if (facts.appArmor) facts.appArmorParser = findAppArmorParser(roots);
  readSeLinux(roots, facts);
  facts.seccomp = pathExists(roots.proc + "/sys/kernel/seccomp/actions_avail");
  const auto maximum = optionalText(roots.proc + "/sys/user/max_user_namespaces");
  facts.userNamespaces = pathExists(roots.proc + "/self/ns/user") && maximum && *maximum != "0";
  // user_namespaces(7): of the first namespace there is one line, which maps all.
  const auto groups = optionalText(roots.proc + "/self/gid_map");
  facts.inUserNamespace = groups && !groups->ends_with(" 4294967295");
}

// Linux's arch/x86/include/uapi/asm/unistd.h: calls of the x32 ABI have this bit, and fail with
// ENOSYS where the kernel is built or started without it. A filter of this process's own may end
// who tries; then it is taken for possible.
bool runsX32() {
#if defined(__x86_64__) && defined(__LP64__)
  constexpr long kX32Bit = 0x40000000;
  return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0 || ::syscall(kX32Bit | SYS_getpid) > 0;
#else
  return false;
#endif
}

absl::Status readKernel(const HostRoots& roots, HostFacts& facts) {
  BERTH_ASSIGN_OR_RETURN(const std::string release,
                         readFile(roots.proc + "/sys/kernel/osrelease", 4096));
  // "6.1.0-18-amd64", "5.10-rc3": numbers up to the first other character.
  const std::string_view numbers =
      std::string_view(release).substr(0, release.find_first_not_of("0123456789."));
  const std::vector<std::string_view> parts = split(numbers, '.');
  const auto major = parseNumber<unsigned>(parts[0]);
  const auto minor = parts.size() > 1 ? parseNumber<unsigned>(parts[1]) : std::nullopt;
  if (!major || !minor)
    return absl::InternalError(support::strCat("read the kernel's version: \"", trimmed(release),
                                               "\" does not begin with two numbers"));
  facts.kernel = {.major = *major, .minor = *minor};
  BERTH_ASSIGN_OR_RETURN(const std::string hostname,
                         readFile(roots.proc + "/sys/kernel/hostname", 4096));
  facts.hostname = trimmed(hostname);
  utsname names{};
  if (::uname(&names) != 0) return support::errnoStatus(errno, "ask for the machine's name");
  facts.architecture = architectureName(names.machine);
  facts.x32 = runsX32();
  return absl::OkStatus();
}

}  // namespace

bool HostFacts::hasSysResource() const {
  return has(*capabilityNumber("CAP_SYS_RESOURCE"));
}

std::string architectureName(const std::string& machine) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kArchitectures = {{
      {"x86_64", "amd64"},
      {"aarch64", "arm64"},
      {"i386", "386"},
      {"i486", "386"},
      {"i586", "386"},
      {"i686", "386"},
      {"armv6l", "arm"},
      {"armv7l", "arm"},
      {"armv8l", "arm"},
      {"loongarch64", "loong64"},
      {"mips64el", "mips64le"},
      {"mipsel", "mipsle"},
  }};
  for (const auto& [kernel, image] : kArchitectures)
    if (machine == kernel) return std::string(image);
  return machine;
}

absl::StatusOr<HostFacts> collectHostFacts(const HostRoots& roots) {
  HostFacts facts;
  BERTH_RETURN_IF_ERROR(readCapabilities(roots, facts));
  BERTH_RETURN_IF_ERROR(readLimits(roots, facts));
  BERTH_RETURN_IF_ERROR(readCgroups(roots, facts));
  BERTH_RETURN_IF_ERROR(readKernel(roots, facts));
  readSecurityModules(roots, facts);
  return facts;
}

}  // namespace berth::common
