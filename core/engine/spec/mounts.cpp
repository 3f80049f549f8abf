#include "engine/spec/mounts.hpp"

#include <algorithm>
#include <set>

#include "berth/support/status.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using runtime::v1::Mount;

// A mount that the runtime makes by itself.
bj::object systemMount(std::string_view destination, std::string_view type, std::string_view source,
                       bj::array options) {
  return {{"destination", destination},
          {"type", type},
          {"source", source},
          {"options", std::move(options)}};
}

bj::object sysMount(const MountInput& input) {
  // A sysfs shows its mounter's network namespace, so that a user namespace that does not own it
  // may not mount one; the host's is bound instead.
  if (input.network == NetworkNamespace::kHost && input.userNamespace == UserNamespace::kPod)
    return systemMount("/sys", "bind", "/sys",
                       {"rbind", "rprivate", "nosuid", "noexec", "nodev",
                        input.features.recursiveReadOnly ? "rro" : "ro"});
  return systemMount(
      "/sys", "sysfs", "sysfs",
      {"nosuid", "noexec", "nodev", input.privilege == Privilege::kPrivileged ? "rw" : "ro"});
}

bj::object cgroupMount(const MountInput& input) {
  bj::array options = {"nosuid", "noexec", "nodev", "relatime",
                       input.privilege == Privilege::kPrivileged ? "rw" : "ro"};
  // Without a cgroup namespace of its own the mount is the host's very superblock, which takes
  // over whatever options the last mount brings.
  if (input.cgroup == CgroupNamespace::kHost)
    for (const std::string& option : input.host.cgroup2Options) options.emplace_back(option);
  return systemMount("/sys/fs/cgroup", "cgroup", "cgroup", std::move(options));
}

bj::object shmMount(const MountInput& input) {
  if (input.ipc == IpcNamespace::kHost)
    return systemMount("/dev/shm", "bind", "/dev/shm", {"rbind", "rprivate", "rw"});
  if (input.files.shm.empty())
    return systemMount("/dev/shm", "tmpfs", "shm",
                       {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"});
  // Inside a user namespace a bind mount must not lose these.
  return systemMount("/dev/shm", "bind", input.files.shm,
                     {"rbind", "rprivate", "rw", "nosuid", "noexec", "nodev"});
}

// OCI runtime specification, "Default Filesystems", and what containers are used to beyond.
std::vector<bj::object> defaultMounts(const MountInput& input) {
  return {
      systemMount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      systemMount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      systemMount("/dev/pts", "devpts", "devpts",
                  {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      shmMount(input),
      systemMount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      sysMount(input),
      cgroupMount(input)};
}

// /etc/hosts and its like, as if they were mounts of the request. They belong to the pod's own root
// already.
std::vector<Mount> fileMounts(const MountInput& input) {
  std::vector<Mount> mounts;
  for (const auto& [source, destination] :
       {std::pair(&input.files.hostname, "/etc/hostname"),
        std::pair(&input.files.hosts, "/etc/hosts"),
        std::pair(&input.files.resolvConf, "/etc/resolv.conf")}) {
    if (source->empty()) continue;
    Mount mount;
    mount.set_container_path(destination);
    mount.set_host_path(*source);
    mount.set_readonly(input.config.linux().security_context().readonly_rootfs());
    mount.set_selinux_relabel(true);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

// The request's mounts, and those of `others` that do not stand in their way.
std::vector<Mount> mergedMounts(const MountInput& input) {
  std::vector<Mount> merged(input.config.mounts().begin(), input.config.mounts().end());
  std::set<std::string> taken;
  for (const Mount& mount : merged) taken.insert(cleanPath(mount.container_path()));
  const auto add = [&](const std::vector<Mount>& others) {
    for (const Mount& mount : others)
      if (taken.insert(cleanPath(mount.container_path())).second) merged.push_back(mount);
  };
  add(input.extraMounts);
  add(fileMounts(input));
  // A parent that came later would hide what is mounted below it.
  const auto depth = [](const Mount& mount) {
    const std::string path = cleanPath(mount.container_path());
    return std::count(path.begin(), path.end(), '/');
  };
  std::stable_sort(merged.begin(), merged.end(), [&](const Mount& left, const Mount& right) {
    return depth(left) < depth(right);
  });
  return merged;
}

bool isReplaced(std::string_view destination, const std::set<std::string>& taken) {
  if (taken.contains(std::string(destination))) return true;
  // With a /dev or /sys of the request's own its parts are its own too.
  return (taken.contains("/dev") && destination.starts_with("/dev/")) ||
         (taken.contains("/sys") && destination.starts_with("/sys/"));
}

}  // namespace

absl::StatusOr<MountPlan> planMounts(const MountInput& input) {
  const std::vector<Mount> requested = mergedMounts(input);
  std::set<std::string> taken;
  std::vector<std::string> sources;
  for (const Mount& mount : requested) {
    BERTH_RETURN_IF_ERROR(checkPaths(mount));
    taken.insert(cleanPath(mount.container_path()));
    sources.push_back(mount.host_path());
  }
  const std::vector<absl::StatusOr<MountSource>> found = lookAtSources(sources);

  MountPlan plan;
  for (bj::object& mount : defaultMounts(input)) {
    const bj::string& destination = mount.at("destination").as_string();
    if (!isReplaced(std::string_view(destination.data(), destination.size()), taken))
      plan.mounts.emplace_back(std::move(mount));
  }
  for (size_t i = 0; i < requested.size(); ++i)
    BERTH_RETURN_IF_ERROR(addBindMount(requested[i], found[i], input, plan));
  return plan;
}

}  // namespace berth::spec
