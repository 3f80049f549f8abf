// Pods of a daemon that is gone.
#include "berth/support/status.hpp"
#include "kata_plugin.hpp"
#include "pod_end.hpp"

namespace berth::kata {

using support::strCat;

namespace {

constexpr int kUnknownExit = 255;
constexpr std::string_view kReplaced =
    "the record of a pod is lost; what the host has kept of it is used instead";

}  // namespace

Status KataPlugin::podRecover(const Op& op, std::string_view pod, std::string_view directory,
                              std::string_view state, StatusSink& out) {
  return support::annotate(recoverPod(op, pod, directory, state, out), strCat("recover pod ", pod));
}

absl::Status KataPlugin::recoverPod(const Op& op, std::string_view given,
                                    std::string_view directory, std::string_view state,
                                    StatusSink& out) {
  const std::string id(given);
  std::shared_ptr<Pod> pod = find(id);
  const bool isNew = pod == nullptr;
  if (isNew) {
    // The file is at least as new as what the host kept, but the host's copy outlives it.
    auto record = loadPodRecord(id, std::string(directory));
    const bool isLost = absl::IsNotFound(record.status()) || isDamage(record.status());
    if (isLost && !state.empty()) {
      const support::DamagedFile file{PodRecord{.directory = std::string(directory)}.file(),
                                      record.status()};
      record = parsePodRecord(id, state);
      if (isDamage(file.why)) {
        setAside(id, kReplaced, file, strCat(id, "-"));
        const absl::Status kept = record.ok() ? save(*record) : record.status();
        if (!kept.ok()) warn(id, "it could not be written anew", kept);
      } else {
        warn(id, kReplaced, file.why);
      }
    }
    BERTH_RETURN_IF_ERROR(record.status());
    BERTH_ASSIGN_OR_RETURN(pod, load(op, *record));
    if (!insert(pod)) return absl::AbortedError("it is being recovered by another call");
  }
  const CallLimits limits = limitsOf(op);
  const auto tellAll = [&] {
    for (const auto& container : pod->containers()) {
      const ContainerRecord record = pod->recordOf(*container);
      out.add(toAbi(record));
    }
  };
  const auto giveUp = [&](absl::Status status) {
    if (isNew) erase(id);
    return status;
  };
  op.stage("connect to the pod's shim");
  const auto shim =
      pod->record().stopped ? absl::UnavailableError("it has been stopped") : pod->shim(limits);
  if (absl::IsUnavailable(shim.status()) || absl::IsFailedPrecondition(shim.status())) {
    // It stays in the table so that podRemove can give back what is left of it.
    support::StatusCollector failures;
    failures.add(absl::NotFoundError("its shim has ended"));
    const std::string reason =
        withExitMessage("the pod's shim has ended while no daemon was running", pod->record());
    const absl::Status ended = endPod(*pod, limits, reason);
    // Not told as lost before its end has had its time.
    if (!ended.ok() && op.cancelled()) return ended;
    failures.add(ended);
    for (const auto& container : pod->containers()) {
      const ContainerRecord record = pod->recordOf(*container);
      if (record.stage == Stage::kExited) out.add(toAbi(record));
    }
    return failures.status();
  }
  if (!shim.ok()) return giveUp(shim.status());
  if (const absl::Status kept = pod->ensureKeeper(limits); !kept.ok()) return giveUp(kept);
  if (const absl::Status heard = pod->listen(); !heard.ok()) return giveUp(heard);
  (*pod).awaitSandbox(**shim);
  for (const auto& container : pod->containers()) {
    const absl::Status found = recoverContainer(*pod, **shim, container, limits);
    if (!found.ok()) return giveUp(found);
  }
  const absl::Status strays = endStrayExecs(*pod, **shim, limits);
  if (!strays.ok()) warn(id, "a process of a session that is gone could not be ended", strays);
  tellAll();
  return absl::OkStatus();
}

absl::Status KataPlugin::recoverContainer(Pod& pod, TaskClient& shim,
                                          const std::shared_ptr<Container>& container,
                                          const CallLimits& limits) {
  const ContainerRecord record = pod.recordOf(*container);
  if (record.stage == Stage::kExited || record.stage == Stage::kCreated) return absl::OkStatus();
  api::StateRequest request;
  request.set_id(record.id);
  const auto state = shim.ask<api::StateResponse>("State", request, limits);
  if (absl::IsNotFound(state.status())) {
    if (record.stage == Stage::kStarting) {
      // The shim never heard of it.
      return pod.change(*container, [](ContainerRecord& r) { r.stage = Stage::kCreated; });
    }
    pod.settleExit(container, kUnknownExit, support::nowNanoseconds(), "its shim knows it no more");
    return absl::OkStatus();
  }
  BERTH_RETURN_IF_ERROR(state.status());
  if (state->status() == containerd::v1::types::STOPPED) {
    const int exitCode = static_cast<int>(state->exit_status());
    pod.settleExit(container, exitCode, nanosecondsOf(state->exited_at()),
                   pod.lossBehind(exitCode));
    return absl::OkStatus();
  }
  if (record.stage == Stage::kStarting) pod.watchMemory(*container, state->pid(), limits);
  if (state->status() == containerd::v1::types::CREATED) {
    // A start that was at work when the host died goes on.
    BERTH_RETURN_IF_ERROR(shim.start(record.id, {}, limits).status());
  }
  if (record.stage == Stage::kStarting) {
    const int64_t pid = pod.record().namespaces ? state->pid() : 0;
    BERTH_RETURN_IF_ERROR(pod.change(*container, [&](ContainerRecord& r) {
      r.stage = Stage::kRunning;
      r.pid = pid;
      r.startedAt = support::nowNanoseconds();
    }));
  }
  pod.awaitContainer(shim, container);
  // Input that ended while nobody was there to tell the shim.
  const auto entries = pod.keeper().call({.operation = keeper::Operation::kList}, limits);
  if (!entries.ok()) return absl::OkStatus();
  for (const keeper::Entry& entry : entries->entries) {
    if (entry.key != record.id || entry.inputEnded == 0) continue;
    api::CloseIORequest close;
    close.set_id(record.id);
    close.set_stdin(true);
    shim.begin("CloseIO", close, limits, [](const auto&) {});
  }
  return absl::OkStatus();
}

}  // namespace berth::kata
