// StopPodSandbox, RemovePodSandbox, and the undo of a failed RunPodSandbox.
#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/network_request.hpp"
#include "engine/plugin_forms.hpp"

namespace berth::engine {

using support::strCat;

namespace {

// For a runtime that has not answered since the daemon started, when the pod is to end anyway.
constexpr std::chrono::seconds kLastReachTime{5};

// The creation of a container holds its pod's turn, and waits for what may take long: images of
// slow registries. It is of no use to who ends the pod.
void cancelCreations(Operations& operations, const Pod& pod) {
  operations.cancel(strCat("container ", pod.id(), "/"));
}

}  // namespace

absl::Status Engine::stopPodSandbox(const std::string& id, Deadline deadline) {
  auto pod = findPod(id);
  if (absl::IsNotFound(pod.status())) return absl::OkStatus();
  if (!pod.ok()) return pod.status();
  return operations_
      .run(strCat("stop ", (*pod)->id()), strCat("StopPodSandbox ", (*pod)->id()), deadline,
           [this, pod = *pod](plugins::Operation& op) -> absl::StatusOr<std::string> {
             const Pod::Ending ending(*pod);
             cancelCreations(operations_, *pod);
             BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
             BERTH_RETURN_IF_ERROR(stopPod(op, *pod));
             return pod->id();
           })
      .status();
}

absl::Status Engine::stopPod(plugins::Operation& op, Pod& pod) {
  const records::PodState state = pod.state();
  if (state == records::POD_STOPPED) return absl::OkStatus();
  // Nothing can be ended without it, and then nothing is to say that it was begun.
  BERTH_RETURN_IF_ERROR(holderOf(pod).status());
  // One whose creation failed stays one that is to be undone, until it is gone: stopped, it would
  // keep its name if the daemon died meanwhile.
  if (state == records::POD_CREATING) {
    return support::annotate(tearDown(op, pod), strCat("undo pod sandbox ", pod.id()));
  }
  BERTH_RETURN_IF_ERROR(
      pod.change([](records::PodRecord& r) { r.set_state(records::POD_STOPPING); }));
  BERTH_RETURN_IF_ERROR(
      support::annotate(tearDown(op, pod), strCat("stop pod sandbox ", pod.id())));
  pod.setReached(absl::OkStatus());
  absl::Status kept = pod.change([](records::PodRecord& r) {
    r.set_state(records::POD_STOPPED);
    r.mutable_namespaces()->clear();
  });
  pod.leaveRuntime();
  return kept;
}

// Runs every step; what failed is done again by the next call.
absl::Status Engine::tearDown(plugins::Operation& op, Pod& pod) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime, holderOf(pod));
  if (!pod.reached().ok()) {
    // The exits that it has kept would be lost with the pod.
    op.setStage("find out what became of the pod");
    plugins::Operation last(strCat("recover pod sandbox ", pod.id()),
                            std::min(op.deadline(), Deadline::clock::now() + kLastReachTime));
    recovery_.reach(last, pod).IgnoreError();
  }
  support::StatusCollector failures;
  op.setStage("end the pod's processes");
  const absl::Status ended = runtime == nullptr ? absl::OkStatus() : runtime->stopPod(op, pod.id());
  failures.add(ended);
  if (ended.ok()) {
    if (!pod.reached().ok()) {
      recovery_.endContainersOf(pod, "its pod was stopped while nothing was known of its exit");
    }
    for (const auto& container : containersOf(pod.id())) {
      failures.add(collectExit(op, *container, "its runtime lost it before its pod was stopped"));
      // There when the daemon ended in the middle of a start that came to nothing.
      detachMappedMounts(*container);
    }
  }
  const records::PodRecord record = pod.record();
  if (record.network().wanted()) {
    op.setStage("detach the network");
    auto network = heldNetwork(pod, registry_);
    auto request = networkRequest(record);
    absl::Status detached = !network.ok() ? network.status()
                            : !request.ok()
                                ? request.status()
                                : (*network)->detach(op, *request, record.network().state());
    if (detached.ok()) {
      detached = pod.change([](records::PodRecord& r) { r.mutable_network()->set_wanted(false); });
      if (detached.ok()) pod.setNetwork(nullptr);
    }
    // Whose daemon ends may succeed with the next one.
    if (!absl::IsCancelled(detached)) pod.setDetachFailure(detached);
    failures.add(support::annotate(detached, "detach the network"));
  }
  op.setStage("release the pod's isolation");
  // Without the namespace a network could not be detached properly, so that comes first.
  if (failures.ok() && runtime != nullptr) failures.add(runtime->removePod(op, pod.id()));
  if (record.shm_mounted()) {
    failures.add(
        support::unmount(strCat(podDirectory(pod.id()), "/shm"), support::UnmountMode::kLazy));
  }
  return failures.status();
}

absl::Status Engine::removePodSandbox(const std::string& id, Deadline deadline) {
  auto pod = findPod(id);
  if (absl::IsNotFound(pod.status())) return absl::OkStatus();
  if (!pod.ok()) return pod.status();
  return operations_
      .run(strCat("remove ", (*pod)->id()), strCat("RemovePodSandbox ", (*pod)->id()), deadline,
           [this, pod = *pod](plugins::Operation& op) -> absl::StatusOr<std::string> {
             const Pod::Ending ending(*pod);
             cancelCreations(operations_, *pod);
             BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
             BERTH_RETURN_IF_ERROR(removePod(op, pod));
             return pod->id();
           })
      .status();
}

absl::Status Engine::removePod(plugins::Operation& op, const std::shared_ptr<Pod>& pod) {
  // Another removal was first.
  if (!findPod(pod->id()).ok()) return absl::OkStatus();
  // CRI, RemovePodSandbox: what still runs in it is ended by force.
  BERTH_RETURN_IF_ERROR(stopPod(op, *pod));
  support::StatusCollector failures;
  for (const auto& container : containersOf(pod->id())) {
    auto turn = Turn::take(op, *container);
    failures.add(turn.ok() ? removeContainer(op, container) : turn.status());
  }
  BERTH_RETURN_IF_ERROR(failures.status());
  op.setStage("remove the pod's files");
  BERTH_RETURN_IF_ERROR(support::removeTree(podDirectory(pod->id())));
  BERTH_RETURN_IF_ERROR(pod->retire());
  forget(*pod);
  lifeEvents_.removed(*pod);
  return absl::OkStatus();
}

// Its name is free at once; what is left goes under its id.
void Engine::discardPod(const std::shared_ptr<Pod>& pod) {
  freeName(*pod);
  Retries::Task task = undoOf(pod);
  // The caller's own time may be up: undoing has its own.
  plugins::Operation undo(task.name, Deadline::clock::now() + task.time);
  const absl::Status status = task.work(undo);
  if (status.ok()) return;
  common::logWarning("undoing a failed RunPodSandbox failed; it is tried again",
                     {{"pod", pod->id()}, {"error", status.ToString()}});
  retries_.addLater(std::move(task));
}

Retries::Task Engine::undoOf(const std::shared_ptr<Pod>& pod) {
  return {.name = strCat("undo RunPodSandbox ", pod->id()),
          .work = [this, pod](plugins::Operation& op) -> absl::Status {
            BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
            return removePod(op, pod);
          }};
}

}  // namespace berth::engine
