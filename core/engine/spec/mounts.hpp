// What a container sees where: the default mounts, the pod's files, and the mounts of the request.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/capabilities.hpp"
#include "engine/spec/mount_source.hpp"
#include "engine/spec/mount_table.hpp"
#include "engine/spec/types.hpp"

namespace berth::spec {

enum class UserNamespace { kHost, kPod };
enum class NetworkNamespace { kHost, kPod };
enum class IpcNamespace { kHost, kPod };
enum class CgroupNamespace { kHost, kOwn };

struct MountInput {
  const runtime::v1::ContainerConfig& config;
  const std::vector<runtime::v1::Mount>& extraMounts;
  const PodFiles& files;
  const RuntimeFeatures& features;
  const common::HostFacts& host;
  std::string mountLabel;    // SELinux; empty: nothing is relabelled
  std::string mappedMounts;  // see ContainerSpecInput; empty: nothing is mapped on the host
  std::vector<std::string> ownDirectories;  // likewise
  Privilege privilege = Privilege::kNormal;
  UserNamespace userNamespace = UserNamespace::kHost;
  NetworkNamespace network = NetworkNamespace::kPod;
  IpcNamespace ipc = IpcNamespace::kPod;
  CgroupNamespace cgroup = CgroupNamespace::kOwn;
  // Asked for when the first mount wants propagation; MountTable::read outside of tests.
  std::function<absl::StatusOr<MountTable>()> mountTable = MountTable::read;
};

struct MountPlan {
  boost::json::array mounts;
  std::string rootfsPropagation;  // empty: the runtime's default
  std::vector<std::string> missingDirectories;
  std::vector<MappedMount> mapped;
  std::vector<Relabel> relabels;
};

// Mounts of the request replace default ones on the same path; parents come before what lies below
// them. Sources that are links are followed here, once. Reads the sources' kinds; creates nothing.
// A private mount of a directory in which this engine keeps mounts of its own gets propagation from
// the host where that is possible: the container would else keep those of other pods alive.
// INVALID_ARGUMENT names the mount and what contradicts itself, FAILED_PRECONDITION what this host
// or runtime lacks. Any thread.
absl::StatusOr<MountPlan> planMounts(const MountInput& input);

// Whether its paths can be ones.
absl::Status checkPaths(const runtime::v1::Mount& mount);
// One bind mount of the request, added to the plan.
absl::Status addBindMount(const runtime::v1::Mount& mount,
                          const absl::StatusOr<MountSource>& source, const MountInput& input,
                          MountPlan& plan);

}  // namespace berth::spec
