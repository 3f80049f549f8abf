// StopPodSandbox, RemovePodSandbox, and the undo of a failed RunPodSandbox.
#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/network_request.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// How long an undo may take that no caller waits for.
constexpr std::chrono::seconds kUndoTime{60};
constexpr std::chrono::seconds kRetryPause{10};

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
  // One whose creation failed stays one that is to be undone, until it is gone: stopped, it would
  // keep its name if the daemon died meanwhile.
  if (state == records::POD_CREATING) {
    return support::annotate(tearDown(op, pod), strCat("undo pod sandbox ", pod.id()));
  }
  BERTH_RETURN_IF_ERROR(
      pod.change([](records::PodRecord& r) { r.set_state(records::POD_STOPPING); }));
  BERTH_RETURN_IF_ERROR(
      support::annotate(tearDown(op, pod), strCat("stop pod sandbox ", pod.id())));
  return pod.change([](records::PodRecord& r) {
    r.set_state(records::POD_STOPPED);
    r.mutable_namespaces()->clear();
  });
}

// Runs every step; what failed is done again by the next call.
absl::Status Engine::tearDown(plugins::Operation& op, Pod& pod) {
  BERTH_ASSIGN_OR_RETURN(plugins::Runtime * runtime, runtimeOf(pod));
  support::StatusCollector failures;
  op.setStage("end the pod's processes");
  const absl::Status ended = runtime->stopPod(op, pod.id());
  failures.add(ended);
  if (ended.ok()) {
    for (const auto& container : containersOf(pod.id())) {
      failures.add(collectExit(op, *container));
      // There when the daemon ended in the middle of a start that came to nothing.
      detachMappedMounts(*container);
    }
  }
  const records::PodRecord record = pod.record();
  if (record.network().wanted()) {
    op.setStage("detach the network");
    auto network = registry_.network(record.network().network());
    auto request = networkRequest(record);
    absl::Status detached = !network.ok() ? network.status()
                            : !request.ok()
                                ? request.status()
                                : (*network)->detach(op, *request, record.network().state());
    if (detached.ok()) {
      detached = pod.change([](records::PodRecord& r) { r.mutable_network()->set_wanted(false); });
    }
    failures.add(support::annotate(detached, "detach the network"));
  }
  op.setStage("release the pod's isolation");
  // Without the namespace a network could not be detached properly, so that comes first.
  if (failures.ok()) failures.add(runtime->removePod(op, pod.id()));
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

void Engine::discardPod(const std::shared_ptr<Pod>& pod) {
  // The caller's own time may be up: undoing has its own.
  plugins::Operation undo(strCat("undo RunPodSandbox ", pod->id()),
                          Deadline::clock::now() + kUndoTime);
  absl::Status status;
  {
    auto turn = Turn::take(undo, *pod);
    status = turn.ok() ? removePod(undo, pod) : turn.status();
  }
  if (status.ok()) return;
  common::logWarning("undoing a failed RunPodSandbox failed; it is tried again",
                     {{"pod", pod->id()}, {"error", status.ToString()}});
  // Its name is free at once; what is left goes under its id.
  std::unique_lock maps(mapsMutex_);
  std::erase_if(podNames_, [&](const auto& entry) { return entry.second == pod->id(); });
  maps.unlock();
  std::lock_guard lock(eventsMutex_);
  leftovers_.push_back(pod);
  retryWake_.notify_all();
}

void Engine::retryLoop() {
  std::unique_lock lock(eventsMutex_);
  while (!stopping_) {
    if (leftovers_.empty()) {
      retryWake_.wait(lock);
      continue;
    }
    retryWake_.wait_for(lock, kRetryPause, [this] { return stopping_; });
    if (stopping_) return;
    std::vector<std::shared_ptr<Pod>> pods;
    pods.swap(leftovers_);
    lock.unlock();
    std::vector<std::shared_ptr<Pod>> remaining;
    for (const auto& pod : pods) {
      plugins::Operation op(strCat("clean up pod sandbox ", pod->id()),
                            Deadline::clock::now() + kUndoTime);
      auto turn = Turn::take(op, *pod);
      const absl::Status status = turn.ok() ? removePod(op, pod) : turn.status();
      if (!status.ok()) remaining.push_back(pod);
    }
    lock.lock();
    leftovers_.insert(leftovers_.end(), remaining.begin(), remaining.end());
  }
}

}  // namespace berth::engine
