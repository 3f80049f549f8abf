#include "pod_end.hpp"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <set>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "leftovers.hpp"
#include "pod_streams.hpp"

namespace berth::kata {

using support::strCat;

namespace {

using std::chrono::milliseconds;

constexpr auto kAnswerTime = milliseconds(3000);  // of a call that ends something
constexpr auto kEndTime = milliseconds(5000);     // between SIGKILL and the end
constexpr auto kCleanUpTime = milliseconds(10000);

bool isGone(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsUnavailable(status);
}

absl::Status killTask(TaskClient& shim, const std::string& id, const CallLimits& limits) {
  api::KillRequest request;
  request.set_id(id);
  request.set_signal(SIGKILL);
  request.set_all(true);
  const absl::Status killed = shim.tell("Kill", request, within(limits, kAnswerTime));
  return absl::IsNotFound(killed) ? absl::OkStatus() : killed;
}

absl::Status deleteTask(TaskClient& shim, const std::string& id, const CallLimits& limits) {
  api::DeleteRequest request;
  request.set_id(id);
  const absl::Status deleted = shim.tell("Delete", request, within(limits, kAnswerTime));
  return absl::IsNotFound(deleted) ? absl::OkStatus() : deleted;
}

// Whether it was, before its time was up.
bool awaitEnd(int ended, const CallLimits& limits) {
  return waitFor(ended, POLLIN, limits, "wait for an end").ok();
}

// UNAVAILABLE when the shim is gone.
absl::Status removeTask(Pod& pod, const Container& container, const CallLimits& limits) {
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const auto shim, pod.shim(within(limits, kAnswerTime)));
    const ContainerRecord record = pod.recordOf(container);
    support::StatusCollector failures;
    if (record.stage != Stage::kExited) {
      failures.add(killTask(*shim, record.id, limits));
      if (!awaitEnd(container.ended.get(), within(limits, kEndTime))) {
        failures.add(absl::DeadlineExceededError("it goes on after SIGKILL"));
      }
    }
    failures.add(deleteTask(*shim, record.id, limits));
    // A connection can break while the shim goes on.
    if (!shim->isBroken()) return failures.status();
    BERTH_RETURN_IF_ERROR(
        pauseFor(std::chrono::milliseconds(1), limits, "remove a container from its shim"));
  }
}

// By the shim: SIGKILL to all first, so that they end at once; then each in turn.
absl::Status endWithShim(Pod& pod, TaskClient& shim, const CallLimits& limits) {
  support::StatusCollector failures;
  std::vector<std::shared_ptr<Container>> running;
  for (const auto& container : pod.containers()) {
    const ContainerRecord record = pod.recordOf(*container);
    if (record.stage == Stage::kRunning || record.stage == Stage::kStarting) {
      failures.add(killTask(shim, record.id, limits));
      running.push_back(container);
    }
  }
  const CallLimits until = within(limits, kEndTime);
  for (const auto& container : running) {
    if (pod.recordOf(*container).stage == Stage::kRunning &&
        !awaitEnd(container->ended.get(), until)) {
      failures.add(absl::DeadlineExceededError(
          strCat("container ", pod.recordOf(*container).id, " goes on after SIGKILL")));
    }
  }
  for (const auto& container : pod.containers()) {
    if (pod.recordOf(*container).stage != Stage::kCreated) {
      failures.add(deleteTask(shim, pod.recordOf(*container).id, limits));
    }
  }
  // Of a sandbox whose creation failed there is no task.
  if (pod.record().sandboxPid > 0) failures.add(killTask(shim, pod.id(), limits));
  if (pod.record().sandboxPid > 0 && !awaitEnd(pod.sandboxEnded(), within(limits, kEndTime))) {
    failures.add(absl::DeadlineExceededError("the sandbox goes on after SIGKILL"));
  }
  failures.add(deleteTask(shim, pod.id(), limits));
  if (pod.isDead() || shim.isBroken()) {
    return absl::UnavailableError("the shim has ended too early");
  }
  // Some shims answer before they end, others end without an answer.
  api::ShutdownRequest request;
  request.set_id(pod.id());
  const absl::Status told = shim.tell("Shutdown", request, within(limits, kAnswerTime));
  if (!isGone(told)) failures.add(told);
  return failures.status();
}

// Readable once it has ended; none when it has. A zombie has ended, whoever is to reap it.
absl::StatusOr<support::Fd> openShim(const PodRecord& record) {
  if (record.shimPid <= 0) return support::Fd();
  support::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, record.shimPid, 0)));
  // A shortage says nothing of it.
  if (!process && errno != ESRCH)
    return support::errnoStatus(errno, strCat("open process ", record.shimPid, ", the pod's shim"));
  // Its number may be another process's by now.
  if (support::processStart(record.shimPid) != record.shimStart) process.reset();
  return process;
}

absl::Status awaitShimEnd(const PodRecord& record, const CallLimits& limits) {
  BERTH_ASSIGN_OR_RETURN(const support::Fd process, openShim(record));
  if (!process) return absl::OkStatus();
  return waitFor(process.get(), POLLIN, limits, "wait for the end of the pod's shim");
}

// By the shim's program, of which one run may be cut off like anything else. It fails, too, for
// what its shim had not begun to make; then all that there can be are processes in cgroups.
absl::Status cleanUp(Pod& pod, const std::string& id, const std::string& bundle,
                     const CallLimits& limits) {
  constexpr int kAttempts = 2;
  absl::Status cleaned = absl::OkStatus();
  for (int i = 0; i < kAttempts; ++i) {
    cleaned = cleanUpWithShim(pod.shimCall(id, bundle), within(limits, kCleanUpTime)).status();
    if (cleaned.ok() || absl::IsDeadlineExceeded(cleaned)) break;
  }
  // An OCI runtime that was killed while it created the container has written down nothing of the
  // cgroups that it had made.
  absl::Status ended = endCgroups(id, within(limits, kEndTime));
  if (cleaned.ok()) return ended;
  support::StatusCollector failures;
  failures.add(ended);
  if (failures.ok()) {
    pod.warn("the shim's program cannot clean up; nothing of it is left in cgroups", cleaned);
  } else {
    failures.add(cleaned);
  }
  return failures.status();
}

// The address of a shim that was killed while it started: most write it down.
std::string addressOf(const PodRecord& record) {
  constexpr size_t kMaxAddress = 4096;
  if (!record.address.address.empty()) return record.address.address;
  const auto text = support::readFile(record.sandboxBundle() + "/address", kMaxAddress);
  return text.ok() ? *text : std::string();
}

// Without the shim, and without a guest, container by container.
absl::Status endWithoutShim(Pod& pod, const CallLimits& limits) {
  const PodRecord record = pod.record();
  support::StatusCollector failures;
  BERTH_ASSIGN_OR_RETURN(const support::Fd process, openShim(record));
  if (process) ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  failures.add(awaitShimEnd(record, within(limits, kAnswerTime)));
  failures.add(endShims(record.shim, pod.id(), within(limits, kAnswerTime)));
  for (const auto& container : pod.containers()) {
    const ContainerRecord each = pod.recordOf(*container);
    if (each.stage == Stage::kCreated || !support::pathExists(each.bundle)) continue;
    failures.add(cleanUp(pod, each.id, each.bundle, limits));
  }
  if (support::pathExists(record.sandboxBundle() + "/config.json")) {
    failures.add(cleanUp(pod, pod.id(), record.sandboxBundle(), limits));
  }
  failures.add(removeStaleSocket(addressOf(record)));
  return failures.status();
}

// One whose shim is gone, of which it may have made something; nothing when the pod has been ended.
absl::Status cleanUpRemoved(Pod& pod, const ContainerRecord& container, const CallLimits& limits) {
  std::unique_lock<std::mutex> alone;
  BERTH_RETURN_IF_ERROR(pod.takeEnd(alone, limits));
  if (pod.record().stopped || !support::pathExists(container.bundle)) return absl::OkStatus();
  return cleanUp(pod, container.id, container.bundle, limits);
}

void markEnded(Pod& pod, std::string_view reason) {
  for (const auto& container : pod.containers()) {
    const Stage stage = pod.recordOf(*container).stage;
    if (stage != Stage::kRunning && stage != Stage::kStarting) continue;
    pod.settleExit(container, 128 + SIGKILL, support::nowNanoseconds(), reason);
  }
}

}  // namespace

absl::Status endPod(Pod& pod, const CallLimits& limits, std::string_view reason) {
  pod.beginEnding();
  std::unique_lock<std::mutex> alone;
  BERTH_RETURN_IF_ERROR(pod.takeEnd(alone, limits));
  const PodRecord record = pod.record();
  if (record.stopped) return absl::OkStatus();
  absl::Status status = absl::OkStatus();
  const bool started = !record.address.address.empty();
  if (started) {
    const auto shim = pod.shim(within(limits, kAnswerTime));
    status = shim.ok() ? endWithShim(pod, **shim, limits) : shim.status();
    if (status.ok()) status = awaitShimEnd(record, within(limits, kAnswerTime));
  }
  // A shim that was killed while it started has told no address.
  if (!status.ok() || !started) status = endWithoutShim(pod, limits);
  if (status.ok()) {
    markEnded(pod, reason);
    pod.declareDead();
    status = pod.changeRecord([](PodRecord& r) { r.stopped = true; });
  }
  return support::annotate(status, strCat("end pod ", pod.id()));
}

absl::Status endLostPod(Pod& pod, const CallLimits& limits) {
  return endWithoutShim(pod, limits);
}

absl::Status removeContainer(Pod& pod, const std::shared_ptr<Container>& container,
                             const CallLimits& limits) {
  const ContainerRecord record = pod.recordOf(*container);
  support::StatusCollector failures;
  if (record.stage != Stage::kCreated) {
    const absl::Status removed = removeTask(pod, *container, limits);
    failures.add(absl::IsUnavailable(removed) ? cleanUpRemoved(pod, record, limits) : removed);
  }
  BERTH_RETURN_IF_ERROR(failures.status());
  failures.add(forgetStreams(pod, record.id, limits));
  if (!record.rootMount.empty()) {
    failures.add(support::unmount(record.rootMount, support::UnmountMode::kLazy));
    failures.add(support::removePath(record.rootMount));
  }
  if (!record.bundle.empty()) failures.add(support::removeTree(record.bundle));
  BERTH_RETURN_IF_ERROR(failures.status());
  BERTH_RETURN_IF_ERROR(forget(pod.record(), record.id));
  pod.remove(record.id);
  return absl::OkStatus();
}

absl::Status releasePod(Pod& pod, MadeCgroups& madeCgroups, const std::string& link,
                        const CallLimits& limits) {
  const PodRecord record = pod.record();
  support::StatusCollector failures;
  for (const auto& container : pod.containers()) {
    failures.add(removeContainer(pod, container, limits));
  }
  failures.add(pod.keeper().shutDown(limits));
  failures.add(support::removePath(record.eventsSocket));
  for (const char* name : {"ipc", "uts", "pid"}) {
    failures.add(support::unmount(strCat(record.namespacesDirectory(), "/", name),
                                  support::UnmountMode::kLazy));
  }
  if (!record.netPin.empty()) {
    failures.add(support::unmount(record.netPin, support::UnmountMode::kLazy));
    failures.add(support::removePath(record.netPin));
  }
  madeCgroups.release(pod);
  BERTH_RETURN_IF_ERROR(failures.status());
  for (const std::string& folder :
       {record.keeperDirectory(), record.containersDirectory(), record.streamsDirectory(),
        record.namespacesDirectory(), record.bundles()}) {
    failures.add(support::removeTree(folder));
  }
  failures.add(support::removePath(record.shimLog()));
  failures.add(support::removePath(record.file()));
  BERTH_RETURN_IF_ERROR(failures.status());
  return support::removePath(link);
}

absl::Status endStrayExecs(Pod& pod, TaskClient& shim, const CallLimits& limits) {
  const auto names = support::listDirectory(pod.record().streamsDirectory());
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(names.status());
  std::set<std::string> keys;
  for (const std::string& name : *names) {
    if (name.find('.') != std::string::npos) keys.insert(name.substr(0, name.rfind('-')));
  }
  support::StatusCollector failures;
  for (const std::string& key : keys) {
    const size_t dot = key.find('.');
    // Its keeper may have died, too: until somebody reads what it writes the shim may not go on.
    (void)pod.keeper().call(openRequest(pod, key), within(limits, kAnswerTime));
    api::KillRequest kill;
    kill.set_id(key.substr(0, dot));
    kill.set_exec_id(key.substr(dot + 1));
    kill.set_signal(SIGKILL);
    const absl::Status killed = shim.tell("Kill", kill, within(limits, kAnswerTime));
    api::WaitRequest wait;
    wait.set_id(kill.id());
    wait.set_exec_id(kill.exec_id());
    if (killed.ok()) failures.add(shim.tell("Wait", wait, within(limits, kEndTime)));
    api::DeleteRequest remove;
    remove.set_id(kill.id());
    remove.set_exec_id(kill.exec_id());
    const absl::Status deleted =
        isGone(killed) ? killed : shim.tell("Delete", remove, within(limits, kAnswerTime));
    if (!isGone(deleted)) failures.add(deleted);
    failures.add(forgetStreams(pod, key, limits));
  }
  return failures.status();
}

}  // namespace berth::kata
