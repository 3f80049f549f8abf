// What monitors tell on their own, and what happens when one is not heard of any more.
#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "runtime_plugin.hpp"

namespace berth::runc {

using support::fromAbsl;

namespace {

// For clean-up that no call of the host waits for.
constexpr auto kSettleTime = std::chrono::seconds(30);

berth_event eventOf(berth_event_kind kind, const std::string& pod,
                    const protocol::ContainerStatus& status) {
  berth_event event{};
  event.kind = kind;
  event.flags = flagsOf(status);
  event.pod = str(pod);
  event.container = str(status.containerId);
  event.timestamp = status.finishedAt;
  event.exit_code = status.exitCode;
  return event;
}

}  // namespace

void RuntimePlugin::onContainerExited(const std::string& pod,
                                      const protocol::ContainerStatus& status) {
  host().emit(eventOf(BERTH_EVENT_CONTAINER_EXITED, pod, status));
}

void RuntimePlugin::onContainerOom(const std::string& pod,
                                   const protocol::ContainerStatus& status) {
  berth_event event = eventOf(BERTH_EVENT_CONTAINER_OOM, pod, status);
  if (event.timestamp == 0) event.timestamp = support::nowNanoseconds();
  host().emit(event);
}

void RuntimePlugin::onMonitorLost(const std::string& pod) {
  losses_.post(pod);
}

// A connection can break while the monitor and the containers go on.
absl::Status RuntimePlugin::settleLoss(const std::string& id) {
  const std::shared_ptr<Pod> pod = pods_.find(id);
  // Whoever removes it finds out, and nobody waits for its end to be told.
  if (pod == nullptr || pod->monitor().isEnding()) return absl::OkStatus();
  CallLimits limits = limitsFor(kSettleTime);
  limits.cancelFd = losses_.cutOff();
  const bool broke = pod->takeBreak();
  absl::Status reached = pod->monitor().reach(limits).status();
  if (absl::IsCancelled(reached) || pods_.find(id) != pod || pod->monitor().isEnding())
    return absl::OkStatus();
  if (pod->isDead()) return endLostPod(*pod, limits);
  if (!reached.ok()) {
    if (broke) pod->putBreakBack();
    return reached;
  }
  if (broke) {
    host().warn("the connection to the monitor of a pod broke and was made anew", {{"pod", id}});
    tellExits(*pod);
  }
  support::StatusCollector failures;
  for (const auto& container : pod->startsGivenUp()) {
    failures.add(endGivenUpStart(*pod, *container, limits));
  }
  return failures.status();
}

// An exit of the time between may not have been told. Repeats do no harm.
void RuntimePlugin::tellExits(const Pod& pod) {
  for (const auto& container : pod.containers()) {
    const protocol::ContainerStatus status = pod.status(*container);
    if (status.state == protocol::ContainerState::kExited) onContainerExited(pod.id(), status);
  }
}

// Without a monitor nobody would hear of an exit or write a log: what still runs is ended.
absl::Status RuntimePlugin::endLostPod(Pod& pod, CallLimits limits) {
  const std::string& id = pod.id();
  host().error("the monitor of a pod has died; ending what it ran", {{"pod", id}});
  limits.deadline = std::chrono::steady_clock::now() + kSettleTime;
  const absl::Status killed = killPod(endContext(), pod, limits);
  if (!killed.ok()) {
    host().error("could not end every process of a pod without a monitor",
                 {{"pod", id}, {"error", fromAbsl(killed.message())}});
  }
  BERTH_ASSIGN_OR_RETURN(const std::vector<protocol::ContainerStatus> exits, keptExits(pod));
  for (const protocol::ContainerStatus& status : exits) onContainerExited(id, status);
  constexpr std::string_view kMessage = "the pod's monitor has died; its containers were killed";
  berth_event event{};
  event.kind = BERTH_EVENT_POD_LOST;
  event.pod = str(id);
  event.timestamp = support::nowNanoseconds();
  event.message = str(kMessage);
  host().emit(event);
  return absl::OkStatus();
}

// What the monitor wrote down before it died.
absl::StatusOr<std::vector<protocol::ContainerStatus>> RuntimePlugin::keptExits(Pod& pod) {
  std::vector<support::DamagedFile> unread;
  auto exits = readExitRecords(pod.record().runDir(), &unread);
  if (absl::IsNotFound(exits.status())) return std::vector<protocol::ContainerStatus>();
  BERTH_RETURN_IF_ERROR(exits.status());
  for (const support::DamagedFile& exit : unread) {
    // What cannot be read at this moment is no reason to make up an exit.
    if (!isDamage(exit.why)) return exit.why;
  }
  for (const support::DamagedFile& exit : unread) {
    setAside("the exit of a container is damaged; it counts as killed", pod.id(), exit, "exit-");
  }
  for (const protocol::ContainerStatus& status : *exits) {
    if (const auto container = pod.find(status.containerId)) pod.update(*container, status);
  }
  return exits;
}

}  // namespace berth::runc
