#include "pod_end.hpp"

#include <cerrno>
#include <set>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "cgroup_processes.hpp"
#include "process_end.hpp"
#include "runtime_cli.hpp"

namespace berth::runc {

using support::StatusCollector;
using support::strCat;

namespace {

using Containers = std::vector<std::shared_ptr<Container>>;

// Each removal waits for a runtime process of its own; more at once than this gain nothing.
constexpr size_t kRemovalsAtOnce = 8;
// How long SIGKILL may take before the call says that the kernel holds a process.
constexpr auto kKillTime = std::chrono::seconds(30);

// Asks the monitor to kill; the exit arrives as an event.
absl::Status askToKill(const EndContext& context, Pod& pod, Container& container,
                       const CallLimits& limits) {
  // The kill of a frozen process takes effect only when it is thawed.
  BERTH_RETURN_IF_ERROR(thawCgroup(context.layout, container.record.cgroup));
  if (pod.status(container).state == protocol::ContainerState::kCreated) return absl::OkStatus();
  const CallLimits asked = within(limits, kMonitorTime);
  const absl::Status status = pod.monitor().call(asked, [&](MonitorClient& client) {
    const absl::Status killed =
        client.killContainer(container.record.id, SIGKILL, protocol::KillScope::kAll, asked);
    // A start that counts as failed may never have come to it: there is nothing to kill.
    return absl::IsFailedPrecondition(killed) ? absl::OkStatus() : killed;
  });
  if (absl::IsDeadlineExceeded(status))
    return killCgroup(context.layout, container.record.cgroup, limits);
  // Where the monitor is dead, only the cgroup is left to ask.
  return absl::IsNotFound(status) || absl::IsUnavailable(status) ? absl::OkStatus() : status;
}

// The first process's exit through the monitor, then what may be left of the others.
absl::Status awaitEnd(const EndContext& context, Pod& pod, Container& container,
                      const CallLimits& limits) {
  StatusCollector failures;
  const auto state = pod.status(container).state;
  // A dead monitor's containers count as ended.
  if (state == protocol::ContainerState::kStarting || state == protocol::ContainerState::kRunning) {
    failures.add(waitReadable(container.ended.get(), limits,
                              strCat("wait for container ", container.record.id)));
  }
  // Also when the monitor did not do it.
  failures.add(killCgroup(context.layout, container.record.cgroup, limits));
  return failures.status();
}

// Those that were killed by now. A caller without a deadline must hear of a process that does not
// end, too.
absl::Status awaitEnds(const EndContext& context, Pod& pod, const Containers& containers,
                       const CallLimits& limits) {
  const CallLimits killed = within(limits, kKillTime);
  StatusCollector failures;
  for (const auto& container : containers) {
    absl::Status ended = awaitEnd(context, pod, *container, killed);
    if (absl::IsDeadlineExceeded(ended) && killed.deadline < limits.deadline) {
      ended = absl::DeadlineExceededError(
          strCat("container ", container->record.id,
                 ": a process has not ended after SIGKILL; the kernel holds it, often in "
                 "uninterruptible I/O"));
    }
    failures.add(ended);
  }
  return failures.status();
}

// PID 1 of a shared PID namespace ends with its monitor; this is for the case that it could not.
absl::Status killInit(const EndContext& context, const PodRecord& record,
                      const CallLimits& limits) {
  if (record.initPid <= 0 || record.initStart == 0) return absl::OkStatus();
  const support::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, record.initPid, 0)));
  if (!pidfd || support::processStart(record.initPid) != record.initStart) return absl::OkStatus();
  const std::string doing =
      strCat("kill process ", record.initPid, ", the init of pod ", record.id);
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return support::errnoStatus(errno, doing);
  }
  context.stage("wait for the pod's init to end");
  BERTH_ASSIGN_OR_RETURN(const KilledEnd end,
                         awaitKilled(record.initPid, pidfd.get(), limits, doing));
  if (end == KilledEnd::kUnreaped) {
    context.host.warn(
        "the init of a pod has ended, but the machine's PID 1 does not reap what it has adopted",
        {{"pod", record.id}, {"process", strCat(record.initPid)}});
  }
  return absl::OkStatus();
}

// Containers that only the monitor knows, because their creation could not be undone or their
// record is lost, are the pod's as well.
absl::Status adoptUnknown(Pod& pod, const CallLimits& limits) {
  MonitorClient::Listing listing;
  absl::Status asked = pod.monitor().call(limits, [&](MonitorClient& client) -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(listing, client.list(limits));
    return absl::OkStatus();
  });
  if (!asked.ok() && !pod.isDead()) return asked;
  for (protocol::ContainerStatus& status : listing.containers) {
    // Nobody here waits for what comes of it.
    if (status.state == protocol::ContainerState::kStarting) {
      BERTH_RETURN_IF_ERROR(abortStart(pod, status.containerId, limits));
      status.state = protocol::ContainerState::kStartFailed;
    }
    // That of a known one as well: of a start that failed no event tells.
    BERTH_ASSIGN_OR_RETURN(const auto container,
                           pod.add(recordByName(pod.record(), status.containerId)));
    pod.update(*container, status);
  }
  return absl::OkStatus();
}

// The cgroups that the pod's containers lie in.
std::set<std::string> cgroupParents(const Pod& pod) {
  std::set<std::string> parents;
  for (const ContainerRecord& container : pod.containerRecords()) {
    parents.insert(parentCgroup(container.cgroup));
  }
  const PodRecord record = pod.record();
  if (const auto parent = podCgroup(record.cgroupParent, record.driver); parent.ok()) {
    parents.insert(*parent);
  }
  return parents;
}

absl::Status removeFiles(const EndContext& context, const PodRecord& record) {
  StatusCollector failures;
  failures.add(support::removeTree(record.runDir()));
  failures.add(support::removeTree(record.containersDir()));
  failures.add(support::removePath(record.file()));
  // Last: it is how the rest is found again.
  if (failures.ok()) failures.add(support::removePath(strCat(context.podLinks, "/", record.id)));
  return failures.status();
}

}  // namespace

absl::Status abortStart(Pod& pod, const std::string& container, const CallLimits& limits) {
  constexpr auto kLookAgain = std::chrono::milliseconds(20);
  const absl::Status status = pod.monitor().call(limits, [&](MonitorClient& client) {
    for (;;) {
      absl::Status deleted = client.deleteContainer(container, limits);
      // It is starting, or it runs.
      if (!absl::IsFailedPrecondition(deleted)) return deleted;
      const absl::Status killed =
          client.killContainer(container, SIGKILL, protocol::KillScope::kAll, limits);
      // It has ended since.
      if (!absl::IsFailedPrecondition(killed)) BERTH_RETURN_IF_ERROR(killed);
      const absl::Status paused =
          pauseFor(kLookAgain, limits, strCat("wait for the end of ", container));
      if (paused.ok()) continue;
      // What takes the start back may hang as well.
      StatusCollector failures;
      failures.add(paused);
      failures.add(client.cancelDelete(container));
      return failures.status();
    }
  });
  return pod.isDead() ? absl::OkStatus() : status;
}

absl::Status killContainer(const EndContext& context, Pod& pod,
                           const std::shared_ptr<Container>& container, const CallLimits& limits) {
  BERTH_RETURN_IF_ERROR(askToKill(context, pod, *container, limits));
  return awaitEnds(context, pod, {container}, limits);
}

absl::Status killPod(const EndContext& context, Pod& pod, const CallLimits& limits) {
  StatusCollector failures;
  const Containers containers = pod.containers();
  for (const auto& container : containers) {
    failures.add(askToKill(context, pod, *container, limits));
  }
  failures.add(awaitEnds(context, pod, containers, limits));
  return support::annotate(failures.status(), strCat("stop pod ", pod.id()));
}

absl::Status removeContainer(const EndContext& context, Pod& pod,
                             const std::shared_ptr<Container>& container,
                             const CallLimits& limits) {
  const PodRecord record = pod.record();
  const std::string& id = container->record.id;
  StatusCollector failures;
  const absl::Status killed = killContainer(context, pod, container, limits);
  // Nothing is taken from what runs on.
  if (absl::IsDeadlineExceeded(killed))
    return support::annotate(killed, strCat("remove container ", id));
  failures.add(killed);
  absl::Status deleted = pod.monitor().call(
      limits, [&](MonitorClient& client) { return client.deleteContainer(id, limits); });
  if (pod.isDead()) deleted = deleteFromRuntime(record, id, limits);
  failures.add(deleted);
  if (failures.ok()) failures.add(removeCgroup(context.layout, container->record.cgroup));
  if (const std::string& bundle = container->record.bundle; !bundle.empty()) {
    failures.add(support::removePath(bundle + "/config.json"));
  }
  if (failures.ok()) failures.add(forget(record, id));
  if (failures.ok()) pod.remove(id);
  return support::annotate(failures.status(), strCat("remove container ", id));
}

absl::Status removePod(const EndContext& context, Pod& pod, const CallLimits& limits) {
  const PodRecord record = pod.record();
  StatusCollector failures;
  failures.add(adoptUnknown(pod, limits));
  failures.add(killPod(context, pod, limits));
  const std::set<std::string> parents = cgroupParents(pod);
  const Containers containers = pod.containers();
  failures.add(support::inParallel(containers.size(), kRemovalsAtOnce, [&](size_t i) {
    return removeContainer(context, pod, containers[i], limits);
  }));
  pod.closeInterfaces();
  if (failures.ok()) failures.add(pod.monitor().shutDown(limits));
  // Nothing of what only a monitor may touch is taken from one that lives.
  if (failures.ok() || pod.isDead()) {
    failures.add(killInit(context, record, limits));
    failures.add(cleanUpMonitor(record.runDir(), record.netPin));
  }
  failures.add(context.ownedCgroups.release(record.id, parents));
  if (failures.ok()) failures.add(removeFiles(context, record));
  if (failures.ok()) pod.monitor().hangUp();
  return support::annotate(failures.status(), strCat("remove pod ", pod.id()));
}

}  // namespace berth::runc
