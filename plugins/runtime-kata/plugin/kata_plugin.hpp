// The plugin runtime-kata: each pod a sandbox in the hands of a containerd shim v2, with a
// berth-keeper beside it; both outlive this process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "berth/extensions.hpp"
#include "berth/runtime.hpp"
#include "made_cgroups.hpp"
#include "options.hpp"
#include "pod.hpp"

namespace berth::kata {

// `id` and the message are borrowed for as long as the result is used.
berth_container_status toAbi(const ContainerRecord& record);

// Contracts: berth/runtime.h. Any number of calls at once, about the same pod too.
class KataPlugin final : public Runtime,
                         public Extensions<RuntimePause, RuntimePortForward>,
                         public PodListener {
 public:
  using Runtime::Runtime;
  ~KataPlugin() override;

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
  Status connectPort(const Op& op, std::string_view pod, uint16_t port, int& socket) override;

 private:
  // A pod and one of its containers, and its shim's connection.
  struct Target {
    std::shared_ptr<Pod> pod;
    std::shared_ptr<Container> container;
    std::shared_ptr<TaskClient> shim;
  };
  absl::StatusOr<std::shared_ptr<Pod>> requirePod(std::string_view pod) const;
  absl::StatusOr<Target> requireContainer(std::string_view pod, std::string_view container) const;
  absl::StatusOr<Target> reach(const Op& op, std::string_view pod,
                               std::string_view container) const;
  // From the links on disk when it is not in the table; nullptr when nobody knows it.
  absl::StatusOr<std::shared_ptr<Pod>> findOrLoad(const Op& op, std::string_view pod);
  // FAILED_PRECONDITION for what only a newer version can deal with.
  absl::StatusOr<std::shared_ptr<Pod>> load(const Op& op, const PodRecord& record);
  ContainerRecord recordByName(const PodRecord& pod, const std::string& file) const;
  std::shared_ptr<Pod> find(std::string_view pod) const;
  bool insert(const std::shared_ptr<Pod>& pod);
  void erase(std::string_view pod);
  // A pod of which nothing is left; with the last one goes what pods share.
  void dropRemoved(std::string_view pod);
  std::string linkOf(std::string_view pod) const;

  absl::Status checkSpec(const PodSpec& spec) const;
  PodRecord newRecord(const PodSpec& spec) const;
  absl::Status makePod(const Op& op, const PodSpec& spec, Pod& pod, PodBuilder& out);
  absl::Status startPod(const Op& op, Pod& pod);
  absl::Status startSandbox(const Op& op, Pod& pod);
  absl::Status recoverPod(const Op& op, std::string_view id, std::string_view directory,
                          std::string_view state, StatusSink& out);
  absl::Status recoverContainer(Pod& pod, TaskClient& shim,
                                const std::shared_ptr<Container>& container,
                                const CallLimits& limits);
  absl::Status createContainer(const Op& op, const berth_container_spec& spec, Pod& pod);
  absl::Status startContainer(const Op& op, const Target& target);
  absl::Status makeTask(const Op& op, const Target& target);
  void failStart(const Target& target, const absl::Status& why);
  absl::Status startExec(const Op& op, const Target& target, const berth_exec_spec& spec,
                         const std::shared_ptr<Exec>& exec);
  absl::Status giveUpExec(const Target& target, const std::shared_ptr<Exec>& exec, bool mayRun);
  void addOptions(const PodRecord& pod, api::CreateTaskRequest& request) const;
  absl::Status prepareHost();
  // Says so too. The file keeps its name, with `kind` before it.
  void setAside(const std::string& pod, std::string_view what, const support::DamagedFile& file,
                std::string_view kind);

  void onContainerExited(const std::string& pod, const ContainerRecord& container) override;
  void onContainerOom(const std::string& pod, const std::string& container) override;
  void onPodLost(const std::string& pod, const std::string& reason) override;
  void warn(const std::string& pod, std::string_view what, const absl::Status& why) override;

  Options options_;
  MadeCgroups madeCgroups_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Pod>, std::less<>> pods_;
};

}  // namespace berth::kata
