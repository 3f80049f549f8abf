// What the plugin must know of its pods after the host, a monitor or both have died: small JSON
// files in the pod's directory, written before what they speak of is made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/aside.hpp"
#include "berth/support/ids.hpp"
#include "cgroup_layout.hpp"

namespace berth::runc {

struct PodRecord {
  std::string id;
  std::string directory;
  std::string netPin;  // empty without a network namespace of its own
  std::string runtimeBinary;
  std::string runtimeRoot;
  std::vector<std::string> runtimeArgs;
  std::string cgroupParent;  // as the host gave it
  CgroupDriver driver = CgroupDriver::kCgroupfs;
  bool ownCgroup = false;  // whether the parent holds this pod alone
  int32_t initPid = 0;     // of a shared PID namespace
  uint64_t initStart = 0;  // tells it from a later process of the same number

  std::string runDir() const { return directory + "/monitor"; }
  std::string containersDir() const { return directory + "/containers"; }
  std::string file() const { return directory + "/pod.json"; }
};

struct ContainerRecord {
  std::string id;
  std::string bundle;
  std::string cgroup;  // a path in every hierarchy
};

// One line of JSON with a version; also the state the host keeps.
std::string serialize(const PodRecord& record);
// DATA_LOSS for what is no record of that pod, FAILED_PRECONDITION for one of a later version.
absl::StatusOr<PodRecord> parsePodRecord(const std::string& id, std::string_view text);

absl::Status save(const PodRecord& record);
// NOT_FOUND when there is none in the directory, DATA_LOSS when it is that of another pod or (as in
// parsePodRecord) damaged.
absl::StatusOr<PodRecord> loadPodRecord(const std::string& id, const std::string& directory);
// Whether such a status says that a record was read and cannot be used.
bool isDamage(const absl::Status& status);

absl::Status save(const PodRecord& pod, const ContainerRecord& record);
// What is known of a container without its record: the cgroup that it has unless the host chose
// another, and no bundle. What it ran can be ended.
ContainerRecord recordByName(const PodRecord& pod, const std::string& container);
struct LoadedContainers {
  std::vector<ContainerRecord> records;  // those that are damaged by their names
  std::vector<support::DamagedFile> damages;
};
// All of a pod. An error says that they cannot be read at this moment, which is no damage.
absl::StatusOr<LoadedContainers> loadContainerRecords(const PodRecord& pod);
absl::Status forget(const PodRecord& pod, const std::string& container);

using support::checkId;

}  // namespace berth::runc
