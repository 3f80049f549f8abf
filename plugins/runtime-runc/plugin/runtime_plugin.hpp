// The plugin runtime-runc: pods of Linux namespaces and containers by an OCI runtime binary, each
// pod in the hands of a berth-monitor, which outlives this process.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "berth/extensions.hpp"
#include "berth/runtime.hpp"
#include "container_update.hpp"
#include "features.hpp"
#include "loss_settler.hpp"
#include "oom_group_keeper.hpp"
#include "options.hpp"
#include "pod_end.hpp"
#include "pod_table.hpp"
#include "sealed_program.hpp"

namespace berth::runc {

// Flags of an event or a status.
uint32_t flagsOf(const protocol::ContainerStatus& status);
// `id` is borrowed for as long as the result is used.
berth_container_status toAbi(const protocol::ContainerStatus& status, std::string_view id);

// Contracts: berth/runtime.h. Any number of calls at once, about the same pod too.
class RuntimePlugin final : public Runtime,
                            public Extensions<RuntimePause, RuntimeCheckpoint, RuntimePodResources>,
                            private PodListener {
 public:
  using Runtime::Runtime;
  ~RuntimePlugin() override;

  Status configure(std::string_view options) override;
  Status start() override;
  void stop() override;
  Status examine(const Op& op, Findings& out) override;
  Status features(std::string& json) override;

  Status podCreate(const Op& op, const PodSpec& spec, PodBuilder& out) override;
  Status podStart(const Op& op, std::string_view pod) override;
  Status podStop(const Op& op, std::string_view pod) override;
  Status podRemove(const Op& op, std::string_view pod) override;
  Status podRecover(const Op& op, std::string_view pod, std::string_view directory,
                    std::string_view state, StatusSink& out) override;

  Status containerCreate(const Op& op, const berth_container_spec& spec) override;
  Status containerStart(const Op& op, std::string_view pod, std::string_view container,
                        berth_container_status& status) override;
  Status containerKill(const Op& op, std::string_view pod, std::string_view container, int signal,
                       KillScope scope) override;
  Status containerWait(const Op& op, std::string_view pod, std::string_view container,
                       berth_container_status& status) override;
  Status containerRemove(const Op& op, std::string_view pod, std::string_view container) override;
  Status containerUpdate(const Op& op, std::string_view pod, std::string_view container,
                         std::string_view resources) override;
  Status containerReopenLog(const Op& op, std::string_view pod,
                            std::string_view container) override;
  Status containerStats(const Op& op, std::string_view pod,
                        const std::vector<std::string_view>& containers, StatsSink& out) override;
  Status podStats(const Op& op, std::string_view pod, StatsSink& out) override;

  Status execStart(const Op& op, const berth_exec_spec& spec) override;
  Status execWait(const Op& op, std::string_view pod, std::string_view container,
                  std::string_view exec, int32_t& exitCode) override;
  Status resize(const Op& op, std::string_view pod, std::string_view container,
                std::string_view exec, uint32_t rows, uint32_t columns) override;
  Status attach(const Op& op, std::string_view pod, std::string_view container, int stdinFd,
                int stdoutFd, int stderrFd) override;

  Status pause(const Op& op, std::string_view pod, std::string_view container) override;
  Status resume(const Op& op, std::string_view pod, std::string_view container) override;
  static constexpr std::string_view kCheckpointFormat = "criu";
  Status checkCheckpoints(const Op& /*op*/) override { return checkpoints_; }
  Status checkpoint(const Op& op, const berth_checkpoint_spec& spec) override;
  Status restore(const Op& op, const berth_restore_spec& spec,
                 berth_container_status& status) override;
  Status updatePodResources(const Op& op, std::string_view pod, std::string_view resources,
                            std::string_view overhead) override;

 private:
  // A pod and one of its containers, as most calls need them.
  struct Target {
    std::shared_ptr<Pod> pod;
    std::shared_ptr<Container> container;
  };
  // And its monitor, whose client is let go of first.
  struct Connected : Target {
    std::shared_ptr<MonitorClient> client;
  };

  // NOT_FOUND when it was neither created nor recovered.
  absl::StatusOr<std::shared_ptr<Pod>> requirePod(std::string_view pod) const;
  // Likewise; FAILED_PRECONDITION when it can only be removed.
  absl::StatusOr<Target> requireContainer(std::string_view pod, std::string_view container) const;
  // In addition what MonitorLink::reach() says.
  absl::StatusOr<Connected> requireMonitor(const Op& op, std::string_view pod,
                                           std::string_view container) const;
  // From the links on disk when it is not in the table; nullptr when nobody knows it.
  absl::StatusOr<std::shared_ptr<Pod>> findOrLoadPod(std::string_view pod);
  std::shared_ptr<Pod> newPod(PodRecord record);
  // What the pod's directory tells of its containers, for one that nobody made here.
  absl::Status loadContainers(Pod& pod);
  // Says so too. The file keeps its name, with `kind` before it.
  void setAside(std::string_view what, const std::string& pod, const support::DamagedFile& file,
                std::string_view kind);
  void keepInstead(const absl::Status& kept, const std::string& pod);
  absl::Status examinePods(Findings& out) const;
  PodRecord newRecord(const PodSpec& spec) const;
  std::string netPinOf(std::string_view pod) const;

  absl::Status makePod(const Op& op, const PodSpec& spec, Pod& pod, PodBuilder& out);
  absl::Status recoverPod(const Op& op, std::string_view pod, std::string_view directory,
                          std::string_view state, StatusSink& out);
  // Writes what the host has kept of a pod in the place of its own record.
  absl::StatusOr<PodRecord> replaceRecord(const std::string& id, const std::string& directory,
                                          const absl::Status& lost, std::string_view state);
  void endUnreachable(const Op& op, Pod& pod);
  absl::Status createContainer(const Op& op, const berth_container_spec& spec, Pod& pod);
  // A call of the monitor's client: a start or what takes its place. Repeating it joins it.
  using Begin = std::function<absl::StatusOr<protocol::StartContainerReply>(MonitorClient&)>;
  absl::Status startContainer(const Op& op, const Target& target, const Begin& begin);
  absl::Status endGivenUpStart(Pod& pod, Container& container, const CallLimits& limits);
  absl::Status checkpoint(const Op& op, const Connected& target, const berth_checkpoint_spec& spec);
  absl::Status updateContainer(const Op& op, const Target& target, std::string_view resources);
  // The next two do nothing where the runtime sees to it.
  bool mustTellSystemd(const Target& target) const;
  absl::Status tellSystemd(const Target& target, const boost::json::object& resources) const;
  absl::Status describeUnit(const Target& target) const;
  // After a change of a running container: what systemd may have set back.
  absl::Status writeBesideUnit(const Target& target, const ResourceChange& change) const;
  // Of a container that runs. What systemd sets back at other times.
  void keepOomGroup(const Pod& pod, const Container& container);

  void onContainerExited(const std::string& pod, const protocol::ContainerStatus& status) override;
  void onContainerOom(const std::string& pod, const protocol::ContainerStatus& status) override;
  void onMonitorLost(const std::string& pod) override;
  absl::Status settleLoss(const std::string& pod);
  void tellExits(const Pod& pod);
  // Not OK when it is to be tried again.
  absl::Status endLostPod(Pod& pod, CallLimits limits);
  // Damaged ones are set aside. Not OK when one cannot be read at this moment.
  absl::StatusOr<std::vector<protocol::ContainerStatus>> keptExits(Pod& pod);

  EndContext endContext(const Op* op = nullptr) {
    return {host(), *layout_, *ownedCgroups_, options_.podLinks(), op};
  }

  Options options_;
  support::Fd shared_;  // with another instance that this one replaces, or that replaces it
  RuntimeFeatures features_;
  absl::Status checkpoints_;  // whether they work here
  std::optional<CgroupLayout> layout_;
  std::unique_ptr<OwnedCgroups> ownedCgroups_;
  PodTable pods_;
  SealedProgram sealedRuntime_;
  OomGroupKeeper oomGroups_{host()};

  LossSettler losses_{[this](const std::string& pod) { return settleLoss(pod); }, host()};
};

}  // namespace berth::runc
