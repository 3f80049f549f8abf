// StartContainer, ReopenContainerLog, UpdateContainerResources.
#include <csignal>

#include "berth/support/clock.hpp"
#include "berth/support/process_stat.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/ends.hpp"
#include "engine/engine.hpp"
#include "engine/spec/resources.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr std::string_view kIsolationLost = "the pod's isolation ended during its start";

}  // namespace

absl::Status Engine::startContainer(const std::string& id, Deadline deadline) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findContainer(id));
  return operations_
      .run(strCat("start ", container->id()), strCat("StartContainer ", container->id()), deadline,
           [this, container](plugins::Operation& op) -> absl::StatusOr<std::string> {
             BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *container));
             BERTH_RETURN_IF_ERROR(start(op, *container));
             return container->id();
           })
      .status();
}

absl::Status Engine::start(plugins::Operation& op, Container& container) {
  const v1::ContainerState state = container.state();
  if (state == v1::CONTAINER_RUNNING) return absl::OkStatus();  // a repeated request
  if (state != v1::CONTAINER_CREATED) {
    return absl::FailedPreconditionError(
        strCat("start container ", container.id(), ": it has exited already; create another one"));
  }
  if (container.pod().state() != records::POD_READY) {
    return absl::FailedPreconditionError(strCat("start container ", container.id(),
                                                ": its pod sandbox ", container.pod().id(),
                                                " is not ready"));
  }
  // Without it nothing is known of the container, which so has not failed to start.
  BERTH_RETURN_IF_ERROR(runtimeOf(container.pod()).status());
  BERTH_RETURN_IF_ERROR(checkTarget(container));
  op.setStage("start the container");
  auto started = startInRuntime(op, container);
  if (!started.ok()) {
    support::StatusCollector failures;
    failures.add(started.status());
    failures.add(recordStartFailure(container, support::fromAbsl(started.status().message()), 0));
    return failures.status();
  }
  // Only what is still there now was there all the while.
  if (const absl::Status target = checkTarget(container); !target.ok()) {
    return endStarted(op, container, target);
  }
  const uint64_t processStart = support::processStart(started->pid);
  BERTH_RETURN_IF_ERROR(container.change([&](records::ContainerRecord& r) {
    // A short container's exit may have been told already.
    r.set_started_at(started->startedAt != 0 ? started->startedAt : support::nowNanoseconds());
    if (r.state() != v1::CONTAINER_CREATED) return;
    r.set_state(v1::CONTAINER_RUNNING);
    r.set_pid(started->pid);
    r.set_process_start(processStart);
  }));
  // When its pod was lost meanwhile, this container did not count as running yet.
  if (!container.pod().peek([](const records::PodRecord& r) { return r.lost(); }))
    return absl::OkStatus();
  return recovery_.collectExits(op, container.pod(), kIsolationLost);
}

absl::StatusOr<plugins::ContainerStatus> Engine::startInRuntime(plugins::Operation& op,
                                                                Container& container) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  const bool restore =
      container.peek([](const records::ContainerRecord& r) { return r.has_restore(); });
  const absl::Status attached = attachMappedMounts(container);
  auto started = !attached.ok() ? absl::StatusOr<plugins::ContainerStatus>(attached)
                 : restore      ? restoreInRuntime(op, container)
                                : runtime->startContainer(op, container.pod().id(), container.id());
  // The container has mounts of its own by now; these would only keep its volumes busy.
  detachMappedMounts(container);
  return started;
}

absl::StatusOr<int64_t> Engine::targetProcess(const std::string& pod, const std::string& id) const {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> target, findContainer(id));
  const records::ContainerRecord record = target->record();
  // That it has ended may not have been told yet, and its number may be somebody else's by now.
  const bool runs = record.pod_id() == pod && record.state() == v1::CONTAINER_RUNNING &&
                    (record.process_start() == 0 ||
                     support::processStart(record.pid()) == record.process_start());
  if (runs && record.pid() > 0) return record.pid();
  if (runs) {
    return absl::FailedPreconditionError(
        strCat("the target container ", id,
               " of the PID namespace has no process on this host: in a virtual machine containers "
               "share their processes with the whole pod (shareProcessNamespace) or not at all"));
  }
  return absl::FailedPreconditionError(
      strCat("the target container ", id, " of the PID namespace does not run in this pod"));
}

absl::Status Engine::checkTarget(const Container& container) const {
  const v1::NamespaceOption options = container.peek([](const records::ContainerRecord& r) {
    return r.config().linux().security_context().namespace_options();
  });
  if (options.pid() != v1::TARGET) return absl::OkStatus();
  auto target = targetProcess(container.pod().id(), options.target_id());
  if (target.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      strCat("start container ", container.id(), ": ", target.status().message()));
}

// The process that lends its PID namespace ended during the start: what took its number may be
// anybody's, of the host even.
absl::Status Engine::endStarted(plugins::Operation& op, Container& container,
                                const absl::Status& reason) {
  support::StatusCollector failures;
  failures.add(reason);
  failures.add(recordStartFailure(container, support::fromAbsl(reason.message()), 0));
  auto runtime = runtimeOf(container.pod());
  failures.add(runtime.ok() ? (*runtime)->killContainer(op, container.pod().id(), container.id(),
                                                        SIGKILL, plugins::KillScope::kAllProcesses)
                            : runtime.status());
  return failures.status();
}

absl::Status Engine::reopenContainerLog(const plugins::Operation& op, const std::string& id) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container, findContainer(id));
  if (container->state() != v1::CONTAINER_RUNNING) {
    return absl::FailedPreconditionError(strCat("container ", id, " does not run"));
  }
  // No turn is taken: rotation must not wait for a stop or an exec.
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container->pod()));
  return runtime->reopenLog(op, container->pod().id(), container->id());
}

absl::Status Engine::updateContainerResources(const v1::UpdateContainerResourcesRequest& request,
                                              plugins::Operation& op) {
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                         findContainer(request.container_id()));
  if (!request.has_linux()) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *container));
  const v1::ContainerState state = container->state();
  if (state != v1::CONTAINER_RUNNING && state != v1::CONTAINER_CREATED) {
    return absl::FailedPreconditionError(
        strCat("container ", container->id(), " has exited; its resources cannot be changed"));
  }
  spec::Warnings warnings;
  BERTH_ASSIGN_OR_RETURN(
      const boost::json::object resources,
      spec::resourceChange(
          container->peek([](const records::ContainerRecord& r) { return r.resources(); }),
          request.linux(), host_, warnings));
  spec::logWarnings(warnings, {"container", container->id()});
  op.setStage("update the container's resources");
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container->pod()));
  BERTH_RETURN_IF_ERROR(runtime->updateContainer(op, container->pod().id(), container->id(),
                                                 boost::json::serialize(resources)));
  return container->change([&](records::ContainerRecord& r) {
    *r.mutable_resources() = spec::mergedResources(r.resources(), request.linux());
  });
}

}  // namespace berth::engine
