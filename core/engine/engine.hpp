// Pods and containers: what the CRI verbs mean.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "cdi/registry.hpp"
#include "common/host_facts.hpp"
#include "common/published.hpp"
#include "cri-runtime-v1.pb.h"
#include "engine/abandon_network.hpp"
#include "engine/ask_pods.hpp"
#include "engine/checkpoint/log_copy.hpp"
#include "engine/container_origin.hpp"
#include "engine/exec.hpp"
#include "engine/filesystems.hpp"
#include "engine/layer_usages.hpp"
#include "engine/life_events.hpp"
#include "engine/list_items.hpp"
#include "engine/mount_requests.hpp"
#include "engine/objects.hpp"
#include "engine/operations.hpp"
#include "engine/pod_images.hpp"
#include "engine/recovery.hpp"
#include "engine/retries.hpp"
#include "engine/selinux_levels.hpp"
#include "engine/settings.hpp"
#include "engine/spec/types.hpp"
#include "hooks/registry.hpp"
#include "images/image_service.hpp"
#include "plugins/registry.hpp"
#include "store/store.hpp"

namespace berth::engine {

// All calls are thread-safe, block, and take the caller's deadline; ids may be unique prefixes.
// Calls that end or remove are idempotent: what is unknown is gone already (CRI, StopPodSandbox,
// RemovePodSandbox, StopContainer, RemoveContainer). Other calls on unknown ids: NOT_FOUND.
class Engine {
 public:
  // Everything referred to must outlive the engine; the registry is started.
  Engine(Settings settings, Preferences preferences, plugins::Registry& registry,
         images::ImageService& images, store::Store& store, common::HostFacts host);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Cancels what is under way and waits for its end. Afterwards the plugins may be stopped; the
  // engine must outlive that, because they may still deliver events.
  void finish();

  // Reads the records, finds out what became of pods and containers, and finishes or undoes what
  // was cut off; what takes long goes on afterwards. Once, first of all; then there may be events.
  absl::Status recover() { return recovery_.run(); }
  Recovery& recovery() { return recovery_; }
  absl::StatusOr<std::string> runPodSandbox(const runtime::v1::RunPodSandboxRequest& request,
                                            Deadline deadline);
  absl::Status stopPodSandbox(const std::string& id, Deadline deadline);
  absl::Status removePodSandbox(const std::string& id, Deadline deadline);
  // Ends a pod without its network's having released what it took; `pod` as a person names it.
  // Repeated, it says the same. FAILED_PRECONDITION: see checkAbandonable().
  absl::StatusOr<AbandonedNetwork> abandonNetwork(const std::string& pod, Deadline deadline);
  absl::StatusOr<runtime::v1::PodSandboxStatus> podSandboxStatus(const std::string& id) const;
  ListItems listPodSandboxes(const runtime::v1::PodSandboxFilter& filter) const;
  StateCounts countStates() const;
  // The pod's facts for people, as a JSON object (CRI, PodSandboxStatusRequest.verbose).
  absl::StatusOr<std::string> podSandboxInfo(const std::string& id) const;

  // Kept with the pod. FAILED_PRECONDITION: it is not ready, or its runtime cannot set it now.
  absl::Status updatePodResources(const runtime::v1::UpdatePodSandboxResourcesRequest& request,
                                  plugins::Operation& op);

  absl::StatusOr<std::string> createContainer(const runtime::v1::CreateContainerRequest& request,
                                              Deadline deadline);
  absl::Status startContainer(const std::string& id, Deadline deadline);
  absl::Status stopContainer(const std::string& id, std::chrono::seconds grace, Deadline deadline);
  absl::Status removeContainer(const std::string& id, Deadline deadline);
  absl::StatusOr<runtime::v1::ContainerStatus> containerStatus(const std::string& id) const;
  ListItems listContainers(const runtime::v1::ContainerFilter& filter) const;
  absl::StatusOr<std::string> containerInfo(const std::string& id) const;
  // As the kubelet reads them (status.cpp), newest first, those of earlier sandboxes too.
  std::vector<runtime::v1::ContainerStatus> containerStatusesOf(const std::string& podId) const;
  // The command is killed when `op` is cancelled or its deadline passes.
  absl::StatusOr<runtime::v1::ExecSyncResponse> execSync(
      const runtime::v1::ExecSyncRequest& request, plugins::Operation& op);

  // For streams (CRI, Exec, Attach, PortForward). FAILED_PRECONDITION when the container does not
  // run, or the pod is not ready. The ids in full, for a stream that is opened later.
  absl::StatusOr<std::string> runningContainer(const std::string& id, std::string_view purpose);
  absl::StatusOr<std::string> readyPod(const std::string& id, std::string_view purpose);
  // Returns when the command runs or has failed to; no process of it is left then.
  absl::StatusOr<std::unique_ptr<RunningExec>> exec(const std::string& id,
                                                    const ExecOptions& options, Deadline startBy);
  // Connects the streams to the container's own and returns. They reach their end when the
  // container exits; closing their other ends detaches.
  absl::Status attach(const std::string& id, const StandardStreams& streams, Deadline deadline);
  absl::Status resizeContainer(const std::string& id, WindowSize size, Deadline deadline);
  // A blocking socket to the port on the pod's loopback, IPv4 first. UNAVAILABLE: nobody listens.
  absl::StatusOr<support::Fd> connectPort(const std::string& podId, uint16_t port,
                                          Deadline deadline);
  common::Workers::Load load() const { return workers_.load(); }
  // See Workers::postSurely; not after finish().
  void runLater(std::function<void()> work) { workers_.postSurely(std::move(work)); }
  absl::Status reopenContainerLog(const plugins::Operation& op, const std::string& id);
  absl::Status updateContainerResources(const runtime::v1::UpdateContainerResourcesRequest& request,
                                        plugins::Operation& op);

  // An archive at `location`, whole or not at all. The container goes on.
  absl::Status checkpointContainer(const runtime::v1::CheckpointContainerRequest& request,
                                   Deadline deadline);
  // Files in the folder `output_path`. All containers are paused for the same time, and go on.
  absl::Status checkpointPod(const runtime::v1::CheckpointPodRequest& request, Deadline deadline);
  // A pod and its containers from such a folder. StartContainer restores them.
  absl::StatusOr<runtime::v1::RestorePodResponse> restorePod(
      const runtime::v1::RestorePodRequest& request, Deadline deadline);

  absl::StatusOr<runtime::v1::ContainerStats> containerStats(const std::string& id,
                                                             plugins::Operation& op);
  std::vector<runtime::v1::ContainerStats> listContainerStats(
      const runtime::v1::ContainerStatsFilter& filter, plugins::Operation& op);
  absl::StatusOr<runtime::v1::PodSandboxStats> podSandboxStats(const std::string& id,
                                                               plugins::Operation& op);
  std::vector<runtime::v1::PodSandboxStats> listPodSandboxStats(
      const runtime::v1::PodSandboxStatsFilter& filter, plugins::Operation& op);
  // Of each ready pod, and of its containers that run. Described by metrics::descriptors().
  std::vector<runtime::v1::PodSandboxMetrics> podSandboxMetrics(const plugins::Operation& op);
  // CRI, GetContainerEvents: from the return on, each step in the life of a pod or container is
  // told once. `abandon`: see EventStream::subscribe.
  absl::StatusOr<std::unique_ptr<LifeEvents::Listener>> subscribe(std::function<void()> abandon);
  // Listeners get what waits for them, and then the end.
  void endSubscriptions() { lifeEvents_.close(); }
  // The runtime for whose pods an image is: the one that it names, else the pod's, else the default
  // one. INVALID_ARGUMENT for an unknown runtime handler. Answers from memory.
  absl::StatusOr<std::string> runtimeOf(const runtime::v1::ImageSpec& image,
                                        const runtime::v1::PodSandboxConfig& pod = {}) const;
  // The id of the pod that was run under this configuration's name; empty: there is none.
  std::string podOf(const runtime::v1::PodSandboxConfig& pod) const;
  const PodImages& podImages() const { return podImages_; }
  // OK when pods can have a network now.
  absl::Status networkStatus();
  absl::Status updatePodCidr(const plugins::Operation& op, const std::string& cidr);
  // Names of the pods that use this form of a plugin: "default/web".
  std::vector<std::string> podsOn(const plugins::Instance& form) const;
  // Whether a runtime, its snapshotter and this host can all map the ids of user namespaces.
  bool offersUserNamespaces(const std::string& runtime) const;
  const common::HostFacts& host() const { return host_; }
  const Settings& settings() const { return settings_; }
  std::shared_ptr<const Preferences> preferences() const { return preferences_.load(); }
  // For operations that begin from now on.
  void prefer(Preferences preferences);
  const plugins::Registry& registry() const { return registry_; }
  Operations& operations() { return operations_; }

  // From plugins; never blocks.
  void deliver(plugins::Event event);
  // Keeps a plugin's opaque state with a pod's record (plugin.h, save_state).
  absl::Status savePluginState(std::string_view kind, std::string_view instance,
                               const std::string& podId, std::string_view state);

 private:
  friend class Orphans;
  friend class Recovery;
  using Containers = std::vector<std::shared_ptr<Container>>;

  // Finding (engine.cpp).
  absl::StatusOr<std::shared_ptr<Pod>> findPod(const std::string& id) const;
  std::shared_ptr<Pod> findByName(const std::string& name) const;  // see podName(); null: none
  absl::StatusOr<std::shared_ptr<Container>> findContainer(const std::string& id) const;
  absl::StatusOr<std::shared_ptr<Container>> findRunning(const std::string& id,
                                                         std::string_view purpose) const;
  absl::StatusOr<std::shared_ptr<Pod>> findReady(const std::string& id,
                                                 std::string_view purpose) const;
  std::vector<std::shared_ptr<Pod>> pods() const;
  Containers containers() const;
  Containers containersOf(const std::string& podId) const;
  std::vector<PodAndContainers> readyPods() const;
  absl::StatusOr<std::shared_ptr<plugins::Runtime>> runtimeFor(const std::string& handler) const;
  // FAILED_PRECONDITION: no longer configured; UNAVAILABLE: it has not told of the pod yet.
  absl::StatusOr<std::shared_ptr<plugins::Runtime>> runtimeOf(const Pod& pod) const;
  // Who is needed to end the pod; null: no runtime has anything of it any more.
  absl::StatusOr<std::shared_ptr<plugins::Runtime>> holderOf(const Pod& pod) const;
  spec::Defaults defaultsFor(const std::string& runtime) const;
  std::string podDirectory(const std::string& id) const;
  std::string containerDirectory(const std::string& id) const;
  void freeName(const Pod& pod);
  void freeName(const Container& container);
  void forget(const Pod& pod);
  void forget(const Container& container);

  // A pod's start (pod_run.cpp).
  // `checkpoint`: the folder that it is restored from; its record then says that it is not whole.
  absl::StatusOr<std::string> runPod(plugins::Operation& op,
                                     const runtime::v1::RunPodSandboxRequest& request,
                                     const std::string& name, const std::string& checkpoint = {});
  absl::StatusOr<std::shared_ptr<Pod>> recordPod(const runtime::v1::RunPodSandboxRequest& request,
                                                 const std::string& name,
                                                 const std::string& checkpoint);
  absl::Status bringUp(plugins::Operation& op, Pod& pod);
  absl::Status createIsolation(plugins::Operation& op, Pod& pod);
  absl::Status attachNetwork(plugins::Operation& op, Pod& pod);
  absl::Status makePodFiles(plugins::Operation& op, Pod& pod);

  // A pod's end (pod_stop.cpp).
  absl::Status stopPod(plugins::Operation& op, Pod& pod);
  absl::Status tearDown(plugins::Operation& op, Pod& pod);
  absl::Status removePod(plugins::Operation& op, const std::shared_ptr<Pod>& pod);
  // Undoes a failed start, which is tried until it is done.
  void discardPod(const std::shared_ptr<Pod>& pod);
  Retries::Task undoOf(const std::shared_ptr<Pod>& pod);

  // A container's life (container_create.cpp, container_start.cpp, container_stop.cpp).
  absl::StatusOr<std::string> createContainer(plugins::Operation& op,
                                              const runtime::v1::CreateContainerRequest& request,
                                              const std::string& name,
                                              const std::shared_ptr<Pod>& pod);
  absl::StatusOr<std::string> createFrom(plugins::Operation& op,
                                         const runtime::v1::CreateContainerRequest& request,
                                         const std::string& name, const std::shared_ptr<Pod>& pod,
                                         ContainerOrigin origin);
  absl::StatusOr<std::shared_ptr<Container>> recordContainer(
      const runtime::v1::CreateContainerRequest& request, const std::string& name,
      const std::shared_ptr<Pod>& pod, const ContainerOrigin& origin);
  absl::Status buildContainer(plugins::Operation& op, Container& container,
                              const runtime::v1::PodSandboxConfig& podConfig,
                              const ContainerOrigin& origin);
  absl::StatusOr<spec::ContainerSpec> makeSpec(Container& container,
                                               const runtime::v1::PodSandboxConfig& podConfig,
                                               const ImageConfig& image, const Volumes& volumes);
  absl::StatusOr<spec::NamespacePaths> namespacePaths(const records::PodRecord& pod,
                                                      const runtime::v1::ContainerConfig& config);
  absl::Status mountRootfs(plugins::Operation& op, Container& container);
  // With the ids of the pod's user namespace, if it has one.
  absl::Status mountSnapshot(plugins::Operation& op, Container& container,
                             const SnapshotRequest& request);

  // Checkpoints, and containers from them (checkpoint*.cpp, restore*.cpp).
  absl::Status checkCheckpoints(const plugins::Operation& op, const Pod& pod) const;
  absl::Status checkpointToFile(plugins::Operation& op, const std::shared_ptr<Container>& container,
                                const std::string& location);
  absl::Status checkpointToFolder(plugins::Operation& op, const Containers& containers,
                                  const std::string& folder);
  absl::Status capturePod(plugins::Operation& op, const Pod& pod, const Containers& containers,
                          const std::string& folder);
  // Has all of them paused while it runs, and going on when it returns.
  absl::Status whilePaused(plugins::Operation& op, const Containers& containers,
                           const std::function<absl::Status()>& work);
  absl::Status pause(plugins::Operation& op, Container& container);
  absl::Status resume(Container& container);
  // Fills the empty folder `tree` with all that there is to keep of a paused container, but its
  // log, which is to be copied once the container goes on.
  absl::StatusOr<checkpoint::LogCopy> capture(plugins::Operation& op, const Container& container,
                                              const std::string& tree);
  absl::Status describe(const Container& container, const std::string& tree) const;
  absl::Status captureChanges(plugins::Operation& op, const Container& container,
                              const std::string& tree) const;
  std::string checkpointsDirectory() const;
  std::string restoreDirectory(const std::string& containerId) const;
  absl::StatusOr<ContainerOrigin> findOrigin(plugins::Operation& op,
                                             const runtime::v1::ContainerConfig& config,
                                             const Pod& pod);
  absl::StatusOr<ContainerOrigin> originFrom(plugins::Operation& op, const Pod& pod,
                                             std::unique_ptr<ImportedCheckpoint> checkpoint);
  absl::StatusOr<std::shared_ptr<const images::Image>> baseImage(
      plugins::Operation& op, const checkpoint::Description& description, const Pod& pod);
  absl::Status importImage(plugins::Operation& op, const images::Image& image,
                           const std::string& snapshotter, const ImportedCheckpoint& checkpoint);
  // What the checkpoint has on top of the image becomes a layer of the container.
  absl::Status addRestoredLayer(plugins::Operation& op, Container& container);
  absl::Status checkRestorable(const Container& container, const boost::json::object& spec) const;
  absl::StatusOr<plugins::ContainerStatus> restoreInRuntime(plugins::Operation& op,
                                                            Container& container);
  absl::Status releaseRestore(plugins::Operation& op, const records::ContainerRecord& record);
  absl::StatusOr<std::string> restorePod(plugins::Operation& op,
                                         const runtime::v1::RestorePodRequest& request,
                                         const std::string& name);
  absl::Status restoreContainers(plugins::Operation& op, const std::shared_ptr<Pod>& pod,
                                 const runtime::v1::RestorePodRequest& request);

  // Its mounts on the host (container_volumes.cpp).
  absl::Status recordVolumes(const ImageConfig& image, records::ContainerRecord& record);
  absl::StatusOr<Volumes> prepareVolumes(plugins::Operation& op, Container& container,
                                         const ImageConfig& image);
  absl::StatusOr<std::string> mountImage(plugins::Operation& op, Container& container,
                                         const records::ImageMountRecord& record,
                                         const std::string& subPath,
                                         const std::string& selinuxLabel);
  absl::Status makeDefinedVolumes(plugins::Operation& op, Container& container,
                                  const ImageConfig& image, Volumes& volumes);
  absl::Status attachMappedMounts(Container& container);
  // What fails is logged, and done again when the container is released.
  void detachMappedMounts(Container& container);
  absl::Status releaseVolumes(plugins::Operation& op, const records::ContainerRecord& record);
  std::string volumesDirectory(const std::string& id) const;
  // SELinux; empty where there is none.
  absl::StatusOr<std::string> mountLabel(const records::PodRecord& pod,
                                         const runtime::v1::ContainerConfig& config) const;
  // What the container has written: its layer, and the volumes of its image.
  absl::StatusOr<plugins::Usage> writableUsage(const plugins::Operation& op,
                                               const records::ContainerRecord& record);

  absl::Status start(plugins::Operation& op, Container& container);
  absl::StatusOr<plugins::ContainerStatus> startInRuntime(plugins::Operation& op,
                                                          Container& container);
  absl::StatusOr<spec::SeLinuxLabels> labelsOf(const records::PodRecord& pod) const;
  // The process whose PID namespace a container of that pod is to share.
  absl::StatusOr<int64_t> targetProcess(const std::string& pod, const std::string& id) const;
  absl::Status checkTarget(const Container& container) const;
  absl::Status endStarted(plugins::Operation& op, Container& container, const absl::Status& reason);
  absl::Status stop(plugins::Operation& op, Container& container);
  absl::Status removeContainer(plugins::Operation& op, const std::shared_ptr<Container>& container);
  absl::Status releaseContainer(plugins::Operation& op, Container& container);
  void discardContainer(const std::shared_ptr<Container>& container);
  Retries::Task undoOf(const std::shared_ptr<Container>& container);
  // The exit that no event has told, as the runtime knows it, or unknown with the message. OK: it
  // is kept, whoever told of it.
  absl::Status collectExit(plugins::Operation& op, Container& container, std::string_view message);

  // A further process in a running container (exec.cpp).
  absl::StatusOr<ExecProcess> startExec(plugins::Operation& op, const Container& container,
                                        const ExecOptions& options);

  // Statuses (status.cpp).
  runtime::v1::PodSandboxStatus statusOf(const Pod& pod) const;
  runtime::v1::ContainerStatus statusOf(const Container& container) const;
  std::vector<runtime::v1::ContainerStatus> containerStatusesOf(const Pod& pod) const;
  void addStatuses(const Pod& pod, LifeEvent& event) const;

  // Stats (stats.cpp). Readings are by container; those that do not run have none.
  using Readings = std::unordered_map<std::string, plugins::Stats>;
  Readings readStats(const Pod& pod, const Containers& containers, const plugins::Operation& op,
                     uint32_t wanted) const;
  std::optional<LayerUsages::Reading> layerUsage(const Container& container);
  absl::StatusOr<plugins::Usage> measureLayer(const plugins::Operation& op, const std::string& id);
  std::vector<runtime::v1::ContainerStats> statsOfAll(const Pod& pod, const Containers& containers,
                                                      const plugins::Operation& op);
  runtime::v1::ContainerStats toStats(Container& container, const plugins::Stats* stats,
                                      const plugins::Operation& op);
  absl::StatusOr<runtime::v1::PodSandboxStats> statsOf(Pod& pod, const Containers& members,
                                                       const plugins::Operation& op);

  // Metrics (pod_metrics.cpp).
  metrics::Labels labelsOf(const Pod& pod) const;
  absl::StatusOr<runtime::v1::PodSandboxMetrics> metricsOf(Pod& pod, const Containers& members,
                                                           const plugins::Operation& op);
  void collectMetrics(Container& container, const plugins::Stats& stats, metrics::Labels labels,
                      const plugins::Operation& op, runtime::v1::ContainerMetrics& result);

  // Events (events.cpp).
  void eventLoop();
  void waitForEvents(std::unique_lock<std::mutex>& lock);
  void handle(const plugins::Event& event);
  void handleExit(const plugins::Event& event);
  void handlePodLost(const plugins::Event& event);

  const Settings settings_;
  common::Published<Preferences> preferences_;
  plugins::Registry& registry_;
  images::ImageService& images_;
  const PodImages podImages_{settings_, images_};
  store::Store& store_;
  const common::HostFacts host_;
  const std::string bootId_;
  SeLinuxLevels seLinuxLevels_;
  cdi::Registry cdi_;
  hooks::Registry hooks_;

  mutable std::shared_mutex mapsMutex_;
  std::map<std::string, std::shared_ptr<Pod>> pods_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  std::map<std::string, std::string> podNames_;        // podName() → id
  std::map<std::string, std::string> containerNames_;  // containerName() → id

  LifeEvents lifeEvents_;
  Workers workers_;
  Operations operations_{workers_};
  Retries retries_{workers_};
  Recovery recovery_{*this};
  LayerUsages layerUsages_;
  Filesystems filesystems_;

  std::mutex eventsMutex_;
  std::condition_variable eventsWake_;
  std::deque<plugins::Event> events_;
  bool stopping_ = false;
  std::thread eventThread_;
};

}  // namespace berth::engine
