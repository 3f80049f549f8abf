// What the plugin must know of its pods after the host, a shim or a keeper has died: small JSON
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
#include "shim_program.hpp"

namespace berth::kata {

struct PodRecord {
  std::string id;
  std::string directory;
  std::string netPin;  // empty without a network namespace of its own
  std::string eventsSocket;
  std::string shim;         // the program
  std::string keeper;       // likewise
  bool namespaces = false;  // isolation = "namespaces"
  std::string hostname;
  std::string cgroupParent;
  bool systemdCgroup = false;
  std::vector<std::string> madeCgroups;  // folders that only pods have made, the deepest last
  int32_t oomScoreAdj = 0;
  std::string sandbox;  // its OCI spec
  // Once the shim has been started.
  ShimAddress address;
  int64_t shimPid = 0;
  uint64_t shimStart = 0;
  int64_t sandboxPid = 0;
  bool stopped = false;

  std::string file() const { return directory + "/pod.json"; }
  std::string keeperDirectory() const { return directory + "/keeper"; }
  std::string containersDirectory() const { return directory + "/containers"; }
  std::string streamsDirectory() const { return directory + "/streams"; }
  std::string namespacesDirectory() const { return directory + "/ns"; }
  // Shims look for those of containers beside each other, under their ids.
  std::string bundles() const { return directory + "/bundles"; }
  std::string bundleOf(const std::string& container) const { return bundles() + "/" + container; }
  std::string sandboxBundle() const { return bundleOf(id); }
  std::string logFifo() const { return sandboxBundle() + "/log"; }
  std::string shimLog() const { return directory + "/shim.log"; }
};

enum class Stage { kCreated, kStarting, kRunning, kExited };

struct ContainerRecord {
  std::string id;
  std::string bundle;
  std::string log;
  std::string rootMount;  // where its root filesystem is mounted once more
  std::string cgroup;     // the folder that the keeper watches; empty when it watches none
  uint32_t flags = 0;     // BERTH_CONTAINER_
  Stage stage = Stage::kCreated;
  int64_t pid = 0;
  int64_t startedAt = 0;
  int64_t finishedAt = 0;
  int32_t exitCode = 0;
  bool oomKilled = false;
  std::string message;
};

std::string serialize(const PodRecord& record);
// DATA_LOSS for what is no record of that pod, FAILED_PRECONDITION for one of a later version.
absl::StatusOr<PodRecord> parsePodRecord(const std::string& id, std::string_view text);
absl::Status save(const PodRecord& record);
// NOT_FOUND when there is none.
absl::StatusOr<PodRecord> loadPodRecord(const std::string& id, const std::string& directory);
// Whether such a status says that a record was read and cannot be used.
bool isDamage(const absl::Status& status);

absl::Status save(const PodRecord& pod, const ContainerRecord& record);
// Damaged ones are reported in `damages` and left out. Not OK when one cannot be read at this
// moment.
absl::StatusOr<std::vector<ContainerRecord>> loadContainers(
    const PodRecord& pod, std::vector<support::DamagedFile>& damages);
// Whose record a file is, by its name.
std::string idOfRecord(const std::string& path);
absl::Status forget(const PodRecord& pod, const std::string& container);

using support::checkId;

}  // namespace berth::kata
