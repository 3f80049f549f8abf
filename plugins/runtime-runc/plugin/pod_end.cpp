#include "pod_end.hpp"

#include <cerrno>
#include <poll.h>
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

// Asks the monitor to kill; the exit arrives as an event.
absl::Status askToKill(const EndContext& context, Pod& pod, Container& container,
                       const CallLimits& limits) {
  // The kill of a frozen process takes effect only when it is thawed.
  BERTH_RETURN_IF_ERROR(thawCgroup(context.layout, container.record.cgroup));
  if (pod.status(container).state == protocol::ContainerState::kCreated) return absl::OkStatus();
  const absl::Status status = callMonitor(pod, limits, [&](MonitorClient& client) {
    return client.killContainer(container.record.id, SIGKILL, protocol::KillScope::kAll, limits);
  });
  return absl::IsNotFound(status) || absl::IsUnavailable(status) ? absl::OkStatus() : status;
}

// The first process's exit through the monitor, then what may be left of the others.
absl::Status awaitEnd(const EndContext& context, Pod& pod, Container& container,
                      const CallLimits& limits) {
  StatusCollector failures;
  const auto state = pod.status(container).state;
  if (pod.client().ok() && (state == protocol::ContainerState::kStarting ||
                            state == protocol::ContainerState::kRunning)) {
    failures.add(waitReadable(container.ended.get(), limits,
                              strCat("wait for container ", container.record.id)));
  }
  // Also when the monitor did not do it.
  failures.add(killCgroup(context.layout, container.record.cgroup, limits));
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

absl::Status shutMonitorDown(Pod& pod, const CallLimits& limits) {
  const auto client = pod.client();
  if (!client.ok()) return absl::OkStatus();
  const int32_t pid = (*client)->facts().monitorPid;
  const support::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pod.expectEnd();
  const absl::Status status = (*client)->shutdown(limits);
  if (absl::IsUnavailable(status)) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(status);
  // It hangs up a moment before it ends, and holds its run folder until then.
  if (!pidfd) return absl::OkStatus();
  return waitReadable(pidfd.get(), limits, strCat("wait for the end of monitor ", pid));
}

// The cgroups that the pod's containers lie in.
std::set<std::string> cgroupParents(const Pod& pod) {
  std::set<std::string> parents;
  for (const ContainerRecord& container : pod.containerRecords()) {
    parents.insert(container.cgroup.substr(0, container.cgroup.rfind('/')));
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

// A connection that broke, or a host that died between a pod's making and its saving, leaves a
// monitor nobody is connected to, or one that is still about to start: it holds its folder from its
// first step on, and soon serves or ends. Nothing tells which, so it is asked again; only such a
// break leads here.
absl::Status reach(Pod& pod, const CallLimits& limits) {
  constexpr int kPause = 5;  // milliseconds
  if (pod.client().ok() || pod.isDead()) return absl::OkStatus();
  const std::string runDir = pod.record().runDir();
  while (!pod.client().ok() && monitorHolds(runDir)) {
    const absl::Status status = monitorAlive(runDir) ? pod.connect(limits) : absl::OkStatus();
    // UNAVAILABLE: it ended while it was being asked.
    if (!status.ok() && !absl::IsNotFound(status) && !absl::IsUnavailable(status)) return status;
    if (pod.client().ok()) break;
    if (std::chrono::steady_clock::now() >= limits.deadline) {
      return absl::DeadlineExceededError(
          strCat("the monitor in ", runDir, " neither serves nor ends"));
    }
    pollfd cancelled{limits.cancelFd, POLLIN, 0};
    if (::poll(&cancelled, 1, kPause) > 0) return absl::CancelledError("cancelled");
  }
  if (pod.client().ok()) return absl::OkStatus();
  // What it started to make containers with dies with it, and not a moment before.
  BERTH_RETURN_IF_ERROR(pod.awaitMonitorEnd(limits));
  pod.declareDead();
  return absl::OkStatus();
}

absl::Status callMonitor(Pod& pod, const CallLimits& limits,
                         const std::function<absl::Status(MonitorClient&)>& call) {
  for (;;) {
    BERTH_RETURN_IF_ERROR(reach(pod, limits));
    const auto client = pod.client();
    if (!client.ok() && pod.isDead()) return client.status();
    if (!client.ok()) continue;  // it broke again at once
    const absl::Status status = call(**client);
    if (!absl::IsUnavailable(status)) return status;
    pod.giveUp(**client);
  }
}

absl::Status killContainer(const EndContext& context, Pod& pod, Container& container,
                           const CallLimits& limits) {
  BERTH_RETURN_IF_ERROR(reach(pod, limits));
  BERTH_RETURN_IF_ERROR(askToKill(context, pod, container, limits));
  return awaitEnd(context, pod, container, limits);
}

absl::Status killPod(const EndContext& context, Pod& pod, const CallLimits& limits) {
  StatusCollector failures;
  failures.add(reach(pod, limits));
  const Containers containers = pod.containers();
  for (const auto& container : containers) {
    failures.add(askToKill(context, pod, *container, limits));
  }
  for (const auto& container : containers) {
    failures.add(awaitEnd(context, pod, *container, limits));
  }
  return support::annotate(failures.status(), strCat("stop pod ", pod.id()));
}

absl::Status removeContainer(const EndContext& context, Pod& pod,
                             const std::shared_ptr<Container>& container,
                             const CallLimits& limits) {
  const PodRecord record = pod.record();
  const std::string& id = container->record.id;
  StatusCollector failures;
  failures.add(killContainer(context, pod, *container, limits));
  absl::Status deleted = callMonitor(
      pod, limits, [&](MonitorClient& client) { return client.deleteContainer(id, limits); });
  if (absl::IsUnavailable(deleted) && pod.isDead()) deleted = deleteFromRuntime(record, id, limits);
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
  failures.add(killPod(context, pod, limits));
  const std::set<std::string> parents = cgroupParents(pod);
  const Containers containers = pod.containers();
  failures.add(support::inParallel(containers.size(), kRemovalsAtOnce, [&](size_t i) {
    return removeContainer(context, pod, containers[i], limits);
  }));
  pod.closeInterfaces();
  if (failures.ok()) failures.add(shutMonitorDown(pod, limits));
  if (!monitorAlive(record.runDir())) failures.add(killInit(context, record, limits));
  failures.add(cleanUpMonitor(record.runDir(), record.netPin));
  failures.add(context.ownedCgroups.release(record.id, parents));
  if (failures.ok()) failures.add(removeFiles(context, record));
  if (failures.ok()) pod.disconnect();
  return support::annotate(failures.status(), strCat("remove pod ", pod.id()));
}

}  // namespace berth::runc
