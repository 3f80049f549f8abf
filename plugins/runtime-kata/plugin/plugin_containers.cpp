// Containers: creating, starting, ending, changing them.
#include <csignal>
#include <poll.h>

#include <boost/json/serialize.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "host_parts.hpp"
#include "kata_plugin.hpp"
#include "pod_end.hpp"
#include "pod_streams.hpp"
#include "specs.hpp"

namespace berth::kata {

using support::strCat;

namespace {

constexpr auto kUndoTime = std::chrono::seconds(5);
// What a container that never ran is reported with.
constexpr int32_t kStartFailedCode = 128;
constexpr const char* kResources =
    "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

bool hasAny(const ContainerRecord& record, uint32_t flag) {
  return (record.flags & flag) != 0;
}

}  // namespace

Status KataPlugin::containerCreate(const Op& op, const berth_container_spec& spec) {
  const auto pod = requirePod(view(spec.pod));
  if (!pod.ok()) return pod.status();
  return support::annotate(createContainer(op, spec, **pod),
                           strCat("create container ", view(spec.id)));
}

absl::Status KataPlugin::createContainer(const Op& op, const berth_container_spec& spec, Pod& pod) {
  BERTH_RETURN_IF_ERROR(checkId("container", view(spec.id)));
  ContainerRecord record;
  record.id = copy(spec.id);
  record.log = copy(spec.log_path);
  record.flags = spec.flags;
  record.rootMount = strCat(options_.sharedDirectory(), "/", record.id);
  const auto known = pod.find(record.id);
  if (known != nullptr) {
    if (pod.recordOf(*known).stage == Stage::kCreated) return absl::OkStatus();
    return absl::AlreadyExistsError("it exists and has been started");
  }
  const PodRecord podRecord = pod.record();
  record.bundle = podRecord.bundleOf(record.id);
  BERTH_ASSIGN_OR_RETURN(
      const std::string document,
      containerSpec(view(spec.spec), podRecord, view(spec.name), record.rootMount));
  BERTH_RETURN_IF_ERROR(save(podRecord, record));
  BERTH_ASSIGN_OR_RETURN(const auto container, pod.add(record));
  const auto make = [&]() -> absl::Status {
    op.stage("show the root filesystem to the shim");
    BERTH_RETURN_IF_ERROR(support::makeDirectories(record.rootMount, 0700));
    BERTH_RETURN_IF_ERROR(
        support::bindMount(copy(spec.rootfs), record.rootMount, support::MountScope::kRecursive));
    BERTH_RETURN_IF_ERROR(support::makeDirectories(record.bundle, 0711));
    BERTH_RETURN_IF_ERROR(support::replaceFile(record.bundle + "/config.json", document, 0600,
                                               support::Durability::kVisible));
    op.stage("open the container's streams");
    const keeper::Request open = openRequest(pod, record);
    for (const std::string& fifo : {open.input, open.output, open.error}) {
      if (!fifo.empty()) BERTH_RETURN_IF_ERROR(makeFifo(fifo));
    }
    return pod.keeper().call(open, limitsOf(op)).status();
  };
  absl::Status made = make();
  if (made.ok()) return made;
  support::StatusCollector failures;
  failures.add(made);
  failures.add(support::annotate(removeContainer(pod, container, limitsFor(kUndoTime)), "undo"));
  return failures.status();
}

absl::Status KataPlugin::makeTask(const Op& op, const Target& target) {
  const ContainerRecord record = target.pod->recordOf(*target.container);
  const CallLimits limits = within(limitsOf(op), std::chrono::seconds(options_.createTimeout));
  api::CreateTaskRequest create;
  create.set_id(record.id);
  create.set_bundle(record.bundle);
  create.set_terminal(hasAny(record, BERTH_CONTAINER_TERMINAL));
  if (hasAny(record, BERTH_CONTAINER_STDIN)) create.set_stdin(target.pod->fifo(record.id, "in"));
  create.set_stdout(target.pod->fifo(record.id, "out"));
  if (!create.terminal()) create.set_stderr(target.pod->fifo(record.id, "err"));
  addOptions(target.pod->record(), create);
  op.stage("create the container in its sandbox");
  BERTH_ASSIGN_OR_RETURN(const auto created,
                         target.shim->ask<api::CreateTaskResponse>("Create", create, limits));
  target.pod->watchMemory(*target.container, created.pid(), limits);
  op.stage("start the container");
  BERTH_ASSIGN_OR_RETURN(const auto started, target.shim->start(record.id, {}, limits));
  int64_t pid = started.pid() != 0 ? started.pid() : created.pid();
  // That of a virtual machine is nothing that anybody may look at.
  if (!target.pod->record().namespaces) pid = 0;
  BERTH_RETURN_IF_ERROR(target.pod->change(*target.container, [&](ContainerRecord& r) {
    r.stage = Stage::kRunning;
    r.pid = pid;
    r.startedAt = support::nowNanoseconds();
  }));
  target.pod->awaitContainer(*target.shim, target.container);
  return absl::OkStatus();
}

// Nothing of it runs any more, as far as the shim can be asked.
void KataPlugin::failStart(const Target& target, const absl::Status& why) {
  const std::string id = target.pod->recordOf(*target.container).id;
  api::KillRequest kill;
  kill.set_id(id);
  kill.set_signal(SIGKILL);
  kill.set_all(true);
  (void)target.shim->tell("Kill", kill, limitsFor(kUndoTime));
  api::DeleteRequest remove;
  remove.set_id(id);
  const absl::Status removed = target.shim->tell("Delete", remove, limitsFor(kUndoTime));
  if (!removed.ok() && !absl::IsNotFound(removed)) {
    warn(target.pod->id(), "a container whose start failed goes with its pod", removed);
  }
  const absl::Status kept = target.pod->change(*target.container, [&](ContainerRecord& r) {
    r.stage = Stage::kExited;
    r.exitCode = kStartFailedCode;
    r.finishedAt = support::nowNanoseconds();
    r.message = support::fromAbsl(why.message());
  });
  if (!kept.ok()) warn(target.pod->id(), "a failed start could not be recorded", kept);
}

absl::Status KataPlugin::startContainer(const Op& op, const Target& target) {
  const Stage stage = target.pod->recordOf(*target.container).stage;
  if (stage == Stage::kRunning) return absl::OkStatus();
  if (stage != Stage::kCreated) return absl::FailedPreconditionError("it has been started already");
  BERTH_RETURN_IF_ERROR(target.pod->change(*target.container,
                                           [](ContainerRecord& r) { r.stage = Stage::kStarting; }));
  absl::Status made = makeTask(op, target);
  if (!made.ok()) failStart(target, made);
  return made;
}

Status KataPlugin::containerStart(const Op& op, std::string_view pod, std::string_view container,
                                  berth_container_status& status) {
  const auto target = reach(op, pod, container);
  if (!target.ok()) return target.status();
  const absl::Status started = startContainer(op, *target);
  if (!started.ok()) return support::annotate(started, strCat("start container ", container));
  const ContainerRecord record = target->pod->recordOf(*target->container);
  status = toAbi(record);
  status.id = {};
  return {};
}

Status KataPlugin::containerKill(const Op& op, std::string_view pod, std::string_view container,
                                 int signal, KillScope scope) {
  const auto known = requireContainer(pod, container);
  if (!known.ok()) return known.status();
  const Stage stage = known->pod->recordOf(*known->container).stage;
  if (stage == Stage::kExited || stage == Stage::kCreated) return {};
  const auto target = reach(op, pod, container);
  if (absl::IsUnavailable(target.status())) return {};
  if (!target.ok()) return target.status();
  api::KillRequest request;
  request.set_id(std::string(container));
  request.set_signal(static_cast<uint32_t>(signal));
  request.set_all(scope == KillScope::kAllProcesses);
  const absl::Status killed = target->shim->tell("Kill", request, limitsOf(op));
  if (absl::IsNotFound(killed) || absl::IsUnavailable(killed)) return {};
  return support::annotate(killed, strCat("kill container ", container));
}

Status KataPlugin::containerWait(const Op& op, std::string_view pod, std::string_view container,
                                 berth_container_status& status) {
  const auto target = requireContainer(pod, container);
  if (!target.ok()) return target.status();
  absl::Status waited = waitFor(target->container->ended.get(), POLLIN, limitsOf(op),
                                strCat("wait for container ", container));
  if (!waited.ok()) return waited;
  const ContainerRecord record = target->pod->recordOf(*target->container);
  if (record.stage != Stage::kExited) {
    return absl::NotFoundError(strCat("nobody knows how container ", container, " ended"));
  }
  status = toAbi(record);
  status.id = {};
  return {};
}

Status KataPlugin::containerRemove(const Op& op, std::string_view pod, std::string_view container) {
  const auto found = findOrLoad(op, pod);
  if (!found.ok()) return found.status();
  if (*found == nullptr) return {};
  const auto known = (*found)->find(container);
  if (known == nullptr) return {};
  op.stage("remove the container");
  return support::annotate(removeContainer(**found, known, limitsOf(op)),
                           strCat("remove container ", container));
}

Status KataPlugin::containerUpdate(const Op& op, std::string_view pod, std::string_view container,
                                   std::string_view resources) {
  const auto target = reach(op, pod, container);
  if (!target.ok()) return target.status();
  auto parsed = support::parseJsonObject(resources, "the resources");
  if (!parsed.ok()) return parsed.status();
  if (parsed->contains("oomScoreAdj")) {
    return absl::FailedPreconditionError(
        "oomScoreAdj cannot be changed: a shim has no way to do it");
  }
  if (target->pod->recordOf(*target->container).stage != Stage::kRunning) {
    return absl::FailedPreconditionError(strCat("container ", container, " does not run"));
  }
  api::UpdateTaskRequest request;
  request.set_id(std::string(container));
  request.mutable_resources()->set_type_url(kResources);
  request.mutable_resources()->set_value(boost::json::serialize(*parsed));
  return support::annotate(target->shim->tell("Update", request, limitsOf(op)),
                           strCat("update container ", container));
}

Status KataPlugin::containerReopenLog(const Op& op, std::string_view pod,
                                      std::string_view container) {
  const auto target = requireContainer(pod, container);
  if (!target.ok()) return target.status();
  return support::annotate(
      target->pod->keeper()
          .call({.operation = keeper::Operation::kReopenLog, .key = std::string(container)},
                limitsOf(op))
          .status(),
      strCat("reopen the log of container ", container));
}

Status KataPlugin::pause(const Op& op, std::string_view pod, std::string_view container) {
  const auto target = reach(op, pod, container);
  if (!target.ok()) return target.status();
  api::StateRequest ask;
  ask.set_id(std::string(container));
  const auto state = target->shim->ask<api::StateResponse>("State", ask, limitsOf(op));
  if (state.ok() && state->status() == containerd::v1::types::PAUSED) return {};
  api::PauseRequest request;
  request.set_id(std::string(container));
  return support::annotate(target->shim->tell("Pause", request, limitsOf(op)),
                           strCat("pause container ", container));
}

Status KataPlugin::resume(const Op& op, std::string_view pod, std::string_view container) {
  const auto target = reach(op, pod, container);
  if (!target.ok()) return target.status();
  api::StateRequest ask;
  ask.set_id(std::string(container));
  const auto state = target->shim->ask<api::StateResponse>("State", ask, limitsOf(op));
  if (state.ok() && state->status() == containerd::v1::types::RUNNING) return {};
  api::ResumeRequest request;
  request.set_id(std::string(container));
  return support::annotate(target->shim->tell("Resume", request, limitsOf(op)),
                           strCat("resume container ", container));
}

}  // namespace berth::kata
