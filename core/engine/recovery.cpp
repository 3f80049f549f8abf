// What is done when the daemon starts: records are read, and the world is asked what became of
// what they describe.
#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/requests.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr std::chrono::seconds kAskTime{30};
// What is reported for a container whose end nobody saw (Kubernetes: ContainerStatusUnknown).
constexpr int kUnknownExitCode = 137;

std::string nameOf(const records::PodRecord& record) {
  return podName(record.config().metadata());
}

std::string nameOf(const records::ContainerRecord& record) {
  return strCat(record.pod_id(), "/", record.config().metadata().name(), "/",
                record.config().metadata().attempt());
}

}  // namespace

absl::Status Engine::recover() {
  BERTH_RETURN_IF_ERROR(lifeEvents_.start());
  BERTH_RETURN_IF_ERROR(loadRecords());
  collectNetworkGarbage();
  collectVolumeGarbage();
  collectCheckpointGarbage();
  // What had happened, but was not told, when the last daemon died.
  for (const auto& pod : pods()) lifeEvents_.onStep(*pod);
  for (const auto& container : containers()) lifeEvents_.onStep(*container);
  BERTH_RETURN_IF_ERROR(tellOfDeparted());
  for (const auto& pod : pods()) recoverPod(pod);
  for (const auto& container : containers()) {
    // The daemon ended in the middle of its start, which goes on without it.
    if (container->state() != v1::CONTAINER_CREATED) detachMappedMounts(*container);
    // So did a checkpoint, which has left it paused.
    if (container->peek([](const records::ContainerRecord& r) { return r.paused(); })) {
      workers_.postSurely([this, container] { resume(*container).IgnoreError(); });
    }
    // Creation was cut off: the client never got the id.
    if (!container->peek([](const records::ContainerRecord& r) { return r.creating(); })) continue;
    containerNames_.erase(nameOf(container->record()));
    workers_.postSurely([this, container] {
      plugins::Operation op(strCat("undo CreateContainer ", container->id()),
                            Deadline::clock::now() + kAskTime);
      auto turn = Turn::take(op, *container);
      absl::Status status = turn.ok() ? removeContainer(op, container) : turn.status();
      if (!status.ok()) {
        common::logWarning("undoing a CreateContainer that was cut off failed",
                           {{"container", container->id()}, {"error", status.ToString()}});
      }
    });
  }
  return absl::OkStatus();
}

absl::Status Engine::loadRecords() {
  BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> podEntries, store_.list(kPodKind));
  for (const store::Entry& entry : podEntries) {
    records::PodRecord record;
    if (!record.ParseFromString(entry.value) || record.id() != entry.id) {
      common::logError("a pod's record is damaged; it is set aside", {{"pod", entry.id}});
      BERTH_RETURN_IF_ERROR(store_.setAside(kPodKind, entry.id, "it does not parse"));
      continue;
    }
    if (record.deleted()) continue;
    auto runtime = registry_.runtime(record.runtime());
    const std::string name = nameOf(record);
    seLinuxLevels_.claim(record.selinux_level());
    auto pod = std::make_shared<Pod>(std::move(record), runtime.ok() ? *runtime : nullptr, store_);
    pod->observe(lifeEvents_);
    pods_[pod->id()] = pod;
    podNames_[name] = pod->id();
  }
  BERTH_ASSIGN_OR_RETURN(const std::vector<store::Entry> entries, store_.list(kContainerKind));
  for (const store::Entry& entry : entries) {
    records::ContainerRecord record;
    const bool parsed = record.ParseFromString(entry.value) && record.id() == entry.id;
    if (parsed && record.deleted()) continue;
    auto pod = pods_.find(record.pod_id());
    if (!parsed || pod == pods_.end()) {
      common::logError("a container's record is damaged or has no pod; it is set aside",
                       {{"container", entry.id}});
      BERTH_RETURN_IF_ERROR(store_.setAside(kContainerKind, entry.id,
                                            parsed ? "its pod is unknown" : "it does not parse"));
      continue;
    }
    const std::string name = nameOf(record);
    auto container = std::make_shared<Container>(std::move(record), pod->second, store_);
    container->observe(lifeEvents_);
    containers_[container->id()] = container;
    containerNames_[name] = container->id();
  }
  return absl::OkStatus();
}

// Gives back what the network took for pods that no record knows. Done before anything is served:
// an attachment that is made meanwhile would be taken for garbage.
void Engine::collectNetworkGarbage() {
  auto network = registry_.network(settings_.network);
  if (!network.ok()) return;
  std::vector<plugins::Attachment> wanted;
  for (const auto& pod : pods()) {
    pod->peek([&](const records::PodRecord& r) {
      if (r.network().wanted()) wanted.push_back({r.id(), r.network().state()});
    });
  }
  plugins::Operation op("collect the network's garbage", Deadline::clock::now() + kAskTime);
  if (absl::Status status = (*network)->collectGarbage(op, wanted); !status.ok()) {
    common::logWarning("collecting the network's garbage failed; the next start tries again",
                       {{"network", settings_.network}, {"error", status.ToString()}});
  }
}

void Engine::recoverPod(const std::shared_ptr<Pod>& pod) {
  const records::PodRecord record = pod->record();
  if (record.state() == records::POD_STOPPED) return;
  const bool rebooted = record.boot_id() != bootId_;
  if (record.restoring()) {
    podNames_.erase(nameOf(record));
    workers_.postSurely([this, pod] { discardPod(pod); });
    if (rebooted || pod->runtime() == nullptr) return;
  }
  if (record.state() == records::POD_READY && !rebooted && pod->runtime() != nullptr) {
    plugins::Operation op(strCat("recover pod sandbox ", pod->id()),
                          Deadline::clock::now() + kAskTime);
    auto statuses = pod->runtime()->recoverPod(
        op, pod->id(), strCat(podDirectory(pod->id()), "/runtime"), record.runtime_state());
    if (statuses.ok()) return adoptStatuses(*pod, *statuses);
    common::logWarning("a pod did not outlive the daemon's absence",
                       {{"pod", pod->id()}, {"reason", statuses.status().ToString()}});
  }
  endContainersOf(*pod, "Error",
                  rebooted ? "the node was restarted"
                           : "the pod's isolation ended while no daemon was running");
  if (absl::Status kept = pod->change([](records::PodRecord& r) { r.set_lost(true); });
      !kept.ok()) {
    common::logError("a pod's loss could not be recorded",
                     {{"pod", pod->id()}, {"error", kept.ToString()}});
  }
  if (record.state() == records::POD_CREATING) {
    // The client never got the id: nothing of it is to stay, and its name is free at once.
    podNames_.erase(nameOf(record));
    workers_.postSurely([this, pod] { discardPod(pod); });
    return;
  }
  // What it took (addresses, mounts, namespaces) is given back now; the record stays for the
  // kubelet.
  workers_.postSurely([this, pod] {
    plugins::Operation op(strCat("finish stopping pod sandbox ", pod->id()),
                          Deadline::clock::now() + kAskTime);
    auto turn = Turn::take(op, *pod);
    absl::Status status = turn.ok() ? stopPod(op, *pod) : turn.status();
    if (!status.ok()) {
      common::logWarning("finishing the stop of a pod failed; StopPodSandbox tries again",
                         {{"pod", pod->id()}, {"error", status.ToString()}});
    }
  });
}

void Engine::adoptStatuses(Pod& pod, const std::vector<plugins::ContainerStatus>& statuses) {
  std::map<std::string, const plugins::ContainerStatus*> byId;
  for (const plugins::ContainerStatus& status : statuses) byId[status.id] = &status;
  for (const auto& container : containersOf(pod.id())) {
    auto found = byId.find(container->id());
    const v1::ContainerState known = container->state();
    absl::Status kept;
    if (found == byId.end()) {
      if (known != v1::CONTAINER_RUNNING) continue;
      plugins::ContainerStatus gone;
      gone.exitCode = kUnknownExitCode;
      kept = recordExit(*container, gone);
    } else if (found->second->state == BERTH_CONTAINER_EXITED) {
      kept = recordExit(*container, *found->second);
    } else if (found->second->state == BERTH_CONTAINER_RUNNING) {
      const plugins::ContainerStatus& status = *found->second;
      kept = container->change([&](records::ContainerRecord& r) {
        r.set_state(v1::CONTAINER_RUNNING);
        if (status.startedAt != 0) r.set_started_at(status.startedAt);
        r.set_pid(status.pid);
      });
    }
    if (!kept.ok()) {
      common::logError("what became of a container could not be recorded",
                       {{"container", container->id()}, {"error", kept.ToString()}});
    }
  }
}

void Engine::endContainersOf(Pod& pod, const std::string& reason, const std::string& message) {
  const int64_t now = support::nowNanoseconds();
  for (const auto& container : containersOf(pod.id())) {
    if (container->state() != v1::CONTAINER_RUNNING) continue;
    absl::Status kept = container->change([&](records::ContainerRecord& r) {
      if (r.state() != v1::CONTAINER_RUNNING) return;  // its exit was told meanwhile
      r.set_state(v1::CONTAINER_EXITED);
      r.set_exit_code(kUnknownExitCode);
      r.set_finished_at(now);
      r.set_reason(reason);
      r.set_message(message);
      r.set_pid(0);
    });
    if (!kept.ok()) {
      common::logError("a container's end could not be recorded",
                       {{"container", container->id()}, {"error", kept.ToString()}});
    }
  }
}

}  // namespace berth::engine
