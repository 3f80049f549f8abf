// Parts of this host that a pod needs: its network namespace, FIFOs, cgroups, mounts.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::kata {

// Makes a network namespace and pins it at `path`, which must not exist.
absl::Status makeNetworkNamespace(const std::string& path);
// Runs `work` on a thread of its own within the network namespace at `path`.
absl::Status inNetworkNamespace(const std::string& path, const std::function<absl::Status()>& work);

// One that exists is fine.
absl::Status makeFifo(const std::string& path);
// An empty file to mount something on.
absl::Status makeMountPoint(const std::string& path);

bool hasCgroupV2Alone();
// The folder of a process's cgroup of v2, by the text of its /proc/PID/cgroup; empty unless the
// cgroup's own name, without those above it, has `part`.
std::string cgroupNamed(std::string_view part, std::string_view text);
// The folders of a cgroup, and those above it, in all hierarchies; the deepest last.
std::vector<std::string> cgroupFolders(const std::string& path);

// Whether what is mounted below `path` from now on is seen in mount namespaces that are slaves of
// ours.
absl::StatusOr<bool> isShared(const std::string& path);
// Makes `path` a shared mount of its own when it lies in none.
absl::Status makeShared(const std::string& path);

}  // namespace berth::kata
