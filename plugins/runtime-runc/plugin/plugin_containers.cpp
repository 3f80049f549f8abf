// Containers: creating, starting, ending, changing them.
#include <algorithm>
#include <signal.h>

#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "bundle.hpp"
#include "cgroup_processes.hpp"
#include "container_update.hpp"
#include "runtime_cli.hpp"
#include "runtime_plugin.hpp"
#include "systemd_unit.hpp"

namespace berth::runc {

using support::strCat;

namespace {

// What a call that was cut off may take for undoing beyond its own time. The rest is done later.
constexpr auto kUndoTime = std::chrono::seconds(3);

protocol::StdinMode stdinMode(uint32_t flags) {
  if ((flags & BERTH_CONTAINER_STDIN) == 0) return protocol::StdinMode::kNone;
  return (flags & BERTH_CONTAINER_STDIN_ONCE) != 0 ? protocol::StdinMode::kOnce
                                                   : protocol::StdinMode::kOpen;
}

void setCgroup(const CgroupLayout& layout, const std::string& path,
               protocol::CreateContainerRequest& request) {
  const bool unified = layout.mode() == CgroupMode::kUnified;
  request.cgroupDir = layout.directory("memory", path);
  if (request.cgroupDir.empty()) return;
  request.cgroupKind = unified ? protocol::CgroupKind::kV2 : protocol::CgroupKind::kV1;
}

}  // namespace

Status RuntimePlugin::containerCreate(const Op& op, const berth_container_spec& spec) {
  const auto pod = requirePod(view(spec.pod));
  if (!pod.ok()) return pod.status();
  return support::annotate(createContainer(op, spec, **pod),
                           strCat("create container ", view(spec.id)));
}

absl::Status RuntimePlugin::createContainer(const Op& op, const berth_container_spec& spec,
                                            Pod& pod) {
  BERTH_RETURN_IF_ERROR(checkId("container", view(spec.id)));
  const PodRecord podRecord = pod.record();
  BERTH_ASSIGN_OR_RETURN(const BundleFacts facts, readBundle({.pod = podRecord,
                                                              .runtime = features_,
                                                              .container = view(spec.id),
                                                              .directory = view(spec.directory),
                                                              .spec = view(spec.spec)}));
  if (facts.terminal != ((spec.flags & BERTH_CONTAINER_TERMINAL) != 0)) {
    return absl::InvalidArgumentError(
        "process.terminal of the OCI spec and the container's terminal flag differ");
  }
  const ContainerRecord record{
      .id = copy(spec.id), .bundle = copy(spec.directory), .cgroup = facts.cgroup};
  const auto known = pod.find(record.id);
  if (known != nullptr && pod.status(*known).state != protocol::ContainerState::kCreated) {
    return absl::AlreadyExistsError("it exists and has been started");
  }
  protocol::CreateContainerRequest request;
  request.containerId = record.id;
  request.bundle = record.bundle;
  request.logPath = copy(spec.log_path);
  request.terminal = facts.terminal ? 1 : 0;
  request.stdinMode = stdinMode(spec.flags);
  request.consoleWidth = facts.consoleWidth;
  request.consoleHeight = facts.consoleHeight;
  setCgroup(*layout_, facts.cgroup, request);
  if (options_.noPivot) request.createArgs.push_back("--no-pivot");

  bool unclear = false;
  const auto make = [&]() -> absl::Status {
    BERTH_RETURN_IF_ERROR(save(podRecord, record));
    if (podRecord.driver == CgroupDriver::kCgroupfs) {
      BERTH_RETURN_IF_ERROR(ownedCgroups_->claim(podRecord.id, parentCgroup(record.cgroup)));
    }
    BERTH_RETURN_IF_ERROR(support::replaceFile(
        record.bundle + "/config.json",
        facts.corrected.empty() ? view(spec.spec) : std::string_view(facts.corrected), 0600,
        support::Durability::kVisible));
    op.stage("register the container with the pod's monitor");
    const CallLimits limits = limitsOf(op);
    return pod.monitor().call(
        limits, [&](MonitorClient& client) { return client.createContainer(request, limits); },
        &unclear);
  };
  absl::Status made = make();
  const bool registered = made.ok();
  if (registered) made = pod.add(record).status();
  if (made.ok() || known != nullptr) return made;
  support::StatusCollector failures;
  failures.add(made);
  absl::Status undone;
  if ((registered || unclear) && !pod.isDead()) {
    const CallLimits limits = limitsFor(kUndoTime);
    undone = pod.monitor().call(
        limits, [&](MonitorClient& client) { return client.deleteContainer(record.id, limits); });
  }
  failures.add(support::removePath(record.bundle + "/config.json"));
  // What is still there stays on record, for the pod's removal at the latest.
  if (undone.ok() || pod.isDead()) {
    failures.add(forget(podRecord, record.id));
  } else {
    failures.add(support::annotate(undone, "undo"));
    failures.add(pod.add(record).status());
  }
  return failures.status();
}

Status RuntimePlugin::containerStart(const Op& op, std::string_view pod, std::string_view container,
                                     berth_container_status& status) {
  const auto target = requireContainer(pod, container);
  if (!target.ok()) return target.status();
  op.stage("start the container");
  absl::Status started = describeUnit(*target);
  if (started.ok()) {
    started = startContainer(op, *target, [&](MonitorClient& monitor) {
      return monitor.startContainer(std::string(container), limitsOf(op));
    });
  }
  status = toAbi(target->pod->status(*target->container), container);
  return support::annotate(started, strCat("start container ", container));
}

absl::Status RuntimePlugin::startContainer(const Op& op, const Target& target, const Begin& begin) {
  Container& container = *target.container;
  protocol::ContainerStatus status = target.pod->status(container);
  if (hasEnded(status))
    return absl::FailedPreconditionError("it has been started before and ended");
  if (status.state == protocol::ContainerState::kCreated) {
    status.state = protocol::ContainerState::kStarting;
    target.pod->update(container, status);
  }
  Pod& pod = *target.pod;
  absl::StatusOr<protocol::StartContainerReply> reply;
  bool unclear = false;
  absl::Status begun = pod.monitor().call(
      limitsOf(op),
      [&](MonitorClient& monitor) {
        reply = begin(monitor);
        return reply.status();
      },
      &unclear);
  if (begun.ok()) {
    status.state = protocol::ContainerState::kRunning;
    status.pid = reply->pid;
    status.startedAt = reply->startedAt;
    pod.update(container, status);
    keepOomGroup(pod, container);
    return absl::OkStatus();
  }
  // A connection that was made anew may have told what came of a start over an earlier one.
  const protocol::ContainerStatus told = pod.status(container);
  if (told.state == protocol::ContainerState::kExited) return absl::OkStatus();
  if (told.state == protocol::ContainerState::kStartFailed)
    return absl::Status(begun.code(), told.error);
  status.state = protocol::ContainerState::kStartFailed;
  status.error = std::string(support::fromAbsl(begun.message()));
  // It must not run after it counts as failed.
  if (unclear && !pod.isDead()) {
    pod.giveUpStart(container);
    if (!endGivenUpStart(pod, container, limitsFor(kUndoTime)).ok()) losses_.post(pod.id());
  }
  pod.update(container, status);
  return begun;
}

absl::Status RuntimePlugin::endGivenUpStart(Pod& pod, Container& container,
                                            const CallLimits& limits) {
  BERTH_RETURN_IF_ERROR(
      support::annotate(abortStart(pod, container.record.id, limits),
                        strCat("end the given up start of container ", container.record.id)));
  pod.settleStart(container);
  return absl::OkStatus();
}

Status RuntimePlugin::containerKill(const Op& op, std::string_view pod, std::string_view container,
                                    int signal, KillScope scope) {
  const auto found = pods_.find(pod);
  const auto target = found == nullptr ? nullptr : found->find(container);
  if (target == nullptr) return {};
  if (hasEnded(found->status(*target)) && scope == KillScope::kFirstProcess) return {};
  if (signal == SIGKILL) {
    absl::Status thawed = thawCgroup(*layout_, target->record.cgroup);
    if (!thawed.ok()) return thawed;
  }
  const CallLimits limits = limitsOf(op);
  const bool killsAll = signal == SIGKILL && scope == KillScope::kAllProcesses;
  const CallLimits asked = within(limits, kMonitorTime);
  // A connection that breaks may have passed the signal on: a program may see it twice, rather than
  // not at all.
  const absl::Status status = found->monitor().call(asked, [&](MonitorClient& client) {
    const absl::Status killed =
        client.killContainer(target->record.id, signal,
                             scope == KillScope::kAllProcesses ? protocol::KillScope::kAll
                                                               : protocol::KillScope::kProcess,
                             asked);
    // A start that counts as failed may never have come to it: there is nothing to kill.
    return signal == SIGKILL && absl::IsFailedPrecondition(killed) ? absl::OkStatus() : killed;
  });
  if (absl::IsNotFound(status)) return {};
  // A pod without its monitor is ended, whatever signal this was to be: its exit is told with the
  // pod's loss.
  if (absl::IsUnavailable(status)) return killContainer(endContext(&op), *found, target, limits);
  if (killsAll && absl::IsDeadlineExceeded(status))
    return support::annotate(killCgroup(*layout_, target->record.cgroup, limits),
                             strCat("kill container ", container, ", whose monitor is silent"));
  return support::annotate(status, strCat("kill container ", container));
}

Status RuntimePlugin::containerWait(const Op& op, std::string_view pod, std::string_view container,
                                    berth_container_status& status) {
  const auto found = requirePod(pod);
  if (!found.ok()) return found.status();
  const auto target = (*found)->find(container);
  if (target == nullptr) {
    return Status(BERTH_NOT_FOUND, strCat("pod ", pod, " has no container ", container));
  }
  absl::Status waited =
      waitReadable(target->ended.get(), limitsOf(op), strCat("wait for container ", container));
  if (!waited.ok()) return waited;
  protocol::ContainerStatus known = (*found)->status(*target);
  if (!hasEnded(known)) {
    // The monitor died. It may still have written the exit down.
    const auto exit = readExitRecord((*found)->record().runDir(), target->record.id);
    // What cannot be read at this moment is no reason to make up an exit.
    if (!exit.ok() && !absl::IsNotFound(exit.status()) && !isDamage(exit.status()))
      return support::annotate(exit.status(), strCat("wait for container ", container));
    if (!exit.ok()) {
      return Status(BERTH_NOT_FOUND,
                    strCat("wait for container ", container,
                           ": removed, or its pod's monitor died before its exit was known"));
    }
    known = *exit;
  }
  status = toAbi(known, container);
  return {};
}

Status RuntimePlugin::containerRemove(const Op& op, std::string_view pod,
                                      std::string_view container) {
  const auto loaded = findOrLoadPod(pod);
  if (!loaded.ok()) return loaded.status();
  const std::shared_ptr<Pod>& found = *loaded;
  if (found == nullptr) return {};
  const auto target = found->find(container);
  if (target == nullptr) return {};
  op.stage("remove the container");
  return removeContainer(endContext(&op), *found, target, limitsOf(op));
}

Status RuntimePlugin::containerUpdate(const Op& op, std::string_view pod,
                                      std::string_view container, std::string_view resources) {
  const auto target = requireContainer(pod, container);
  if (!target.ok()) return target.status();
  op.stage("update the container's resources");
  return support::annotate(updateContainer(op, *target, resources),
                           strCat("update container ", container));
}

absl::Status RuntimePlugin::updateContainer(const Op& op, const Target& target,
                                            std::string_view resources) {
  BERTH_ASSIGN_OR_RETURN(const ResourceChange change, parseResourceChange(resources));
  const ContainerRecord& record = target.container->record;
  const protocol::ContainerStatus status = target.pod->status(*target.container);
  if (hasEnded(status)) return absl::FailedPreconditionError("it has ended");
  // The runtime does not know it before its start.
  if (status.state == protocol::ContainerState::kCreated) {
    return changeBundle(record.bundle, change);
  }
  if (!change.forRuntime.empty()) {
    BERTH_RETURN_IF_ERROR(runRuntime(target.pod->record(),
                                     {"update", "--resources", "-", record.id},
                                     boost::json::serialize(change.forRuntime), limitsOf(op)));
    BERTH_RETURN_IF_ERROR(tellSystemd(target, change.forRuntime));
    BERTH_RETURN_IF_ERROR(writeBesideUnit(target, change));
    keepOomGroup(*target.pod, *target.container);
  }
  BERTH_RETURN_IF_ERROR(changeHugepages(*layout_, record.cgroup, change.hugepages));
  if (!change.oomScoreAdj) return absl::OkStatus();
  return changeOomScores(*layout_, record.cgroup, status.pid, *change.oomScoreAdj);
}

// crun 1.8 sets the files of the cgroup alone, which systemd sets back to what it knows when it
// gets to the unit next: a moment after it has made it, or when it reads its units anew.
bool RuntimePlugin::mustTellSystemd(const Target& target) const {
  return features_.name == "crun" && target.pod->record().driver == CgroupDriver::kSystemd;
}

absl::Status RuntimePlugin::describeUnit(const Target& target) const {
  if (!mustTellSystemd(target)) return absl::OkStatus();
  return annotateUnit(target.container->record.bundle, layout_->mode());
}

absl::Status RuntimePlugin::tellSystemd(const Target& target,
                                        const boost::json::object& resources) const {
  if (!mustTellSystemd(target)) return absl::OkStatus();
  const std::string& cgroup = target.container->record.cgroup;
  BERTH_ASSIGN_OR_RETURN(const PodLimits limits, parsePodLimits(boost::json::serialize(resources)));
  BERTH_ASSIGN_OR_RETURN(const UnitLimits unit, unitLimits(limits, layout_->mode()));
  return setUnitProperties(cgroup.substr(cgroup.rfind('/') + 1), unit.properties);
}

// Told of one limit, systemd writes all files of the controller, also those that it has no property
// for: memory.oom.group becomes 0.
absl::Status RuntimePlugin::writeBesideUnit(const Target& target,
                                            const ResourceChange& change) const {
  const bool systemd = target.pod->record().driver == CgroupDriver::kSystemd;
  if (!systemd || layout_->mode() != CgroupMode::kUnified) return absl::OkStatus();
  const ContainerRecord& record = target.container->record;
  // What was asked for at the start stands there.
  BERTH_RETURN_IF_ERROR(changeBundle(record.bundle, change));
  BERTH_ASSIGN_OR_RETURN(const auto settings, settingsBesideUnit(record.bundle));
  if (settings.empty()) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(awaitUnits());
  support::StatusCollector failures;
  for (const auto& [file, content] : settings) {
    const std::string path = strCat(layout_->directory("", record.cgroup), "/", file);
    failures.add(support::writeControlFile(path, content));
  }
  return failures.status();
}

void RuntimePlugin::keepOomGroup(const Pod& pod, const Container& container) {
  const bool systemd = pod.record().driver == CgroupDriver::kSystemd;
  if (!systemd || layout_->mode() != CgroupMode::kUnified) return;
  oomGroups_.keep(container.record.bundle, layout_->directory("", container.record.cgroup));
}

Status RuntimePlugin::containerReopenLog(const Op& op, std::string_view pod,
                                         std::string_view container) {
  const auto target = requireMonitor(op, pod, container);
  if (!target.ok()) return target.status();
  return support::annotate(
      target->client->reopenLog(target->container->record.id, {}, limitsOf(op)),
      strCat("reopen the log of container ", container));
}

}  // namespace berth::runc
