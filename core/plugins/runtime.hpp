// A runtime plugin as the core calls it. Contracts: sdk/include/berth/runtime.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "berth/extensions.h"
#include "berth/runtime.h"
#include "berth/support/fd.hpp"
#include "plugins/instance.hpp"
#include "plugins/operation.hpp"

namespace berth::plugins {

// berth_pod_spec, owned.
struct PodSpec {
  std::string id, name, podNamespace, uid, handler, directory, hostname, cgroupParent;
  std::string resources, overhead;  // OCI linux.resources JSON
  uint32_t attempt = 0;
  uint32_t newNamespaces = 0;  // BERTH_NAMESPACE_
  berth_cgroup_driver cgroupDriver = BERTH_CGROUP_CGROUPFS;
  int32_t oomScoreAdj = 0;
  std::map<std::string, std::string> sysctls, labels, annotations;
  // Of `annotations` those that the operator has given all pods; also where the pod set its own.
  std::map<std::string, std::string> defaultAnnotations;
  std::vector<berth_id_mapping> uidMappings, gidMappings;
};

struct CreatedPod {
  std::map<uint32_t, std::string> namespaces;  // BERTH_NAMESPACE_ bit → path
  std::string state;                           // opaque
};

// berth_container_spec, owned.
struct ContainerSpec {
  std::string pod, id, name, directory, rootfs, spec, logPath;
  uint32_t attempt = 0;
  uint32_t flags = 0;  // BERTH_CONTAINER_
};

// berth_container_status, owned.
struct ContainerStatus {
  std::string id;
  berth_container_state state = BERTH_CONTAINER_CREATED;
  bool oomKilled = false;
  int64_t pid = 0;
  int32_t exitCode = 0;
  int64_t startedAt = 0, finishedAt = 0;  // CLOCK_REALTIME, nanoseconds
  std::string message;                    // why it could not be started
};

// berth_stats, owned. The pointers in `raw` are null: the vectors take their place.
struct Stats {
  std::string id;
  berth_stats raw{};
  struct Interface {
    std::string name;
    berth_interface_stats raw{};
  };
  std::vector<Interface> interfaces;
  struct Disk {
    std::string device;
    berth_disk_stats raw{};
  };
  std::vector<Disk> disks;
  struct HugePages {
    std::string pageSize;
    berth_hugepage_stats raw{};
  };
  std::vector<HugePages> hugePages;

  bool has(uint32_t groups) const { return (raw.present & groups) == groups; }
};

struct ExecSpec {
  std::string pod, container, id, process;
  bool terminal = false;
  int stdinFd = -1, stdoutFd = -1, stderrFd = -1;  // borrowed
  uint32_t rows = 0, columns = 0;
};

// Where the state of a container is written to and read from.
struct CheckpointSpec {
  std::string pod, container;
  std::string image;  // the runtime's own form
  std::string work;   // logs
};

enum class KillScope { kFirstProcess, kAllProcesses };

// All functions block, and may be called from any thread.
class Runtime {
 public:
  explicit Runtime(Instance& instance);

  const std::string& name() const { return instance_.name(); }
  const Instance& instance() const { return instance_; }
  absl::Status readFeatures();  // once, after start: also finds the extensions
  const boost::json::object& features() const { return features_; }

  absl::StatusOr<CreatedPod> createPod(const Operation& op, const PodSpec& spec);
  absl::Status startPod(const Operation& op, const std::string& pod);
  absl::Status stopPod(const Operation& op, const std::string& pod);
  absl::Status removePod(const Operation& op, const std::string& pod);
  struct Recovered {
    absl::Status status;
    std::vector<ContainerStatus> containers;  // with NOT_FOUND those whose exits were kept
  };
  Recovered recoverPod(const Operation& op, const std::string& pod, const std::string& directory,
                       std::string_view state);
  absl::Status createContainer(const Operation& op, const ContainerSpec& spec);
  absl::StatusOr<ContainerStatus> startContainer(const Operation& op, const std::string& pod,
                                                 const std::string& id);
  absl::Status killContainer(const Operation& op, const std::string& pod, const std::string& id,
                             int signal, KillScope scope);
  absl::StatusOr<ContainerStatus> waitContainer(const Operation& op, const std::string& pod,
                                                const std::string& id);
  absl::Status removeContainer(const Operation& op, const std::string& pod, const std::string& id);
  absl::Status updateContainer(const Operation& op, const std::string& pod, const std::string& id,
                               const std::string& resources);
  absl::Status reopenLog(const Operation& op, const std::string& pod, const std::string& id);
  // `wanted`: the groups (BERTH_STATS_) to be filled; 0: berth_stats_sink.
  absl::StatusOr<std::vector<Stats>> containerStats(const Operation& op, const std::string& pod,
                                                    const std::vector<std::string>& ids,
                                                    uint32_t wanted);
  absl::StatusOr<std::vector<Stats>> podStats(const Operation& op, const std::string& pod,
                                              uint32_t wanted);
  absl::Status startExec(const Operation& op, const ExecSpec& spec);
  absl::StatusOr<int32_t> waitExec(const Operation& op, const std::string& pod,
                                   const std::string& container, const std::string& exec);
  absl::Status resize(const Operation& op, const std::string& pod, const std::string& container,
                      const std::string& exec, uint32_t rows, uint32_t columns);
  absl::Status attach(const Operation& op, const std::string& pod, const std::string& container,
                      int stdinFd, int stdoutFd, int stderrFd);

  // Extensions (runtime_extensions.cpp); UNIMPLEMENTED without them.
  // OCI runtime spec, linux.resources, JSON, for the pod as a whole.
  absl::Status updatePodResources(const Operation& op, const std::string& pod,
                                  const std::string& resources, const std::string& overhead);
  // Freezes and thaws the processes of a container; idempotent.
  bool pauses() const { return pause_.pause != nullptr && pause_.resume != nullptr; }
  absl::Status pauseContainer(const Operation& op, const std::string& pod, const std::string& id);
  absl::Status resumeContainer(const Operation& op, const std::string& pod, const std::string& id);
  // FAILED_PRECONDITION with the reason when containers cannot be checkpointed on this host.
  absl::Status checkCheckpoints(const Operation& op);
  std::string checkpointFormat() const;
  // The container goes on. On failure both directories are to be removed.
  absl::Status checkpointContainer(const Operation& op, const CheckpointSpec& spec);
  // In place of startContainer().
  absl::StatusOr<ContainerStatus> restoreContainer(const Operation& op, const CheckpointSpec& spec);
  // Whether ports of pods are reached through the plugin, not through their network namespaces.
  bool forwardsPorts() const { return portForward_.connect != nullptr; }
  absl::StatusOr<support::Fd> connectPort(const Operation& op, const std::string& pod,
                                          uint16_t port);

 private:
  void findExtensions();
  absl::Status offersCheckpoints() const;

  Instance& instance_;
  berth_runtime table_{};
  berth_runtime_pause pause_{};
  berth_runtime_checkpoint checkpoint_{};
  berth_runtime_pod_resources podResources_{};
  berth_runtime_port_forward portForward_{};
  boost::json::object features_;
};

}  // namespace berth::plugins
