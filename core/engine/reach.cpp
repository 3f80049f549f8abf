// After the daemon's start, or its runtime's: what became of a pod meanwhile, as that tells it.
#include <csignal>
#include <map>

#include "berth/support/clock.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/ends.hpp"
#include "engine/engine.hpp"
#include "engine/recovery.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr std::string_view kIsolationEnded =
    "the pod's isolation ended while nobody was watching it";

void logUnrecorded(const std::string& container, const absl::Status& kept) {
  if (kept.ok()) return;
  common::logError("what became of a container could not be recorded",
                   {{"container", container}, {"error", kept.ToString()}});
}

}  // namespace

absl::Status Recovery::reachAndSettle(plugins::Operation& op, const std::shared_ptr<Pod>& pod) {
  BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *pod));
  // It may have been stopped, or reported as lost, since it was asked last.
  if (pod->state() == records::POD_READY && !pod->reached().ok()) {
    BERTH_RETURN_IF_ERROR(reach(op, *pod));
  }
  settleContainersOf(*pod);
  if (pod->peek([](const records::PodRecord& r) { return r.lost(); })) finishStop(pod);
  return absl::OkStatus();
}

// A pod whose runtime does not say what became of it is none that has ended: it stays as it is.
absl::Status Recovery::reach(plugins::Operation& op, Pod& pod) {
  const std::string state = pod.peek([](const records::PodRecord& r) { return r.runtime_state(); });
  const plugins::Runtime::Recovered found = pod.runtime()->recoverPod(
      op, pod.id(), strCat(engine_.podDirectory(pod.id()), "/runtime"), state);
  if (found.status.ok()) {
    adoptStatuses(pod, found.containers);
  } else if (absl::IsNotFound(found.status)) {
    common::logWarning("a pod has ended while nobody was watching it",
                       {{"pod", pod.id()}, {"reason", found.status.ToString()}});
    for (const plugins::ContainerStatus& status : found.containers) {
      auto container = engine_.findContainer(status.id);
      if (status.state != BERTH_CONTAINER_EXITED || !container.ok()) continue;
      logUnrecorded(status.id, recordEnd(**container, status));
    }
    endContainersOf(pod, kIsolationEnded);
    recordLoss(pod);
  } else {
    pod.setReached(found.status);
    return found.status;
  }
  pod.setReached(absl::OkStatus());
  return absl::OkStatus();
}

void Recovery::adoptStatuses(Pod& pod, const std::vector<plugins::ContainerStatus>& statuses) {
  std::map<std::string, const plugins::ContainerStatus*> byId;
  for (const plugins::ContainerStatus& status : statuses) byId[status.id] = &status;
  for (const auto& container : engine_.containersOf(pod.id())) {
    const auto found = byId.find(container->id());
    const plugins::ContainerStatus* status = found == byId.end() ? nullptr : found->second;
    const bool hasEnded = container->state() == v1::CONTAINER_EXITED;
    if (hasEnded && status != nullptr && status->state == BERTH_CONTAINER_RUNNING) {
      endUnwanted(container);
      continue;
    }
    logUnrecorded(container->id(), adoptStatus(*container, status));
  }
}

// Its start was given up, and came true when the daemon was gone: its successor may run already.
void Recovery::endUnwanted(const std::shared_ptr<Container>& container) {
  engine_.retries_.add(
      {.name = strCat("end container ", container->id(), ", whose start had failed"),
       .work = [this, container](plugins::Operation& op) -> absl::Status {
         BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> holder,
                                engine_.holderOf(container->pod()));
         if (holder == nullptr) return absl::OkStatus();
         return holder->killContainer(op, container->pod().id(), container->id(), SIGKILL,
                                      plugins::KillScope::kAllProcesses);
       }});
}

// Null: the runtime knows nothing of it.
absl::Status Recovery::adoptStatus(Container& container, const plugins::ContainerStatus* status) {
  if (status == nullptr) return recordUnknownEnd(container, "", 0);
  if (status->state == BERTH_CONTAINER_EXITED) return recordEnd(container, *status);
  if (status->state != BERTH_CONTAINER_RUNNING) return absl::OkStatus();
  const uint64_t processStart = support::processStart(status->pid);
  return container.change([&](records::ContainerRecord& r) {
    // Its exit may have been told since.
    if (r.state() == v1::CONTAINER_EXITED) return;
    r.set_state(v1::CONTAINER_RUNNING);
    if (status->startedAt != 0) r.set_started_at(status->startedAt);
    r.set_pid(status->pid);
    r.set_process_start(processStart);
  });
}

absl::Status Recovery::collectExits(plugins::Operation& op, Pod& lost, std::string_view message) {
  bool known = true;
  for (const auto& container : engine_.containersOf(lost.id())) {
    known = engine_.collectExit(op, *container, message).ok() && known;
  }
  if (known) return absl::OkStatus();
  // The daemon ends: the next one asks the runtime again.
  if (absl::Status status = op.check(); absl::IsCancelled(status)) return status;
  endContainersOf(lost, message);
  return absl::OkStatus();
}

void Recovery::recordLoss(Pod& pod) {
  const absl::Status kept = pod.change([](records::PodRecord& r) { r.set_lost(true); });
  if (kept.ok()) return;
  common::logError("a pod's loss could not be recorded",
                   {{"pod", pod.id()}, {"error", kept.ToString()}});
}

void Recovery::endContainersOf(Pod& pod, std::string_view message) {
  const int64_t now = support::nowNanoseconds();
  for (const auto& container : engine_.containersOf(pod.id())) {
    logUnrecorded(container->id(), recordUnknownEnd(*container, message, now));
  }
}

}  // namespace berth::engine
