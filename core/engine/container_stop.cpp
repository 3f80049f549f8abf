// StopContainer and RemoveContainer.
#include <algorithm>
#include <csignal>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/plugin_forms.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// How often a stop that waits looks whether it is still wanted.
constexpr std::chrono::milliseconds kLook{200};
// How long SIGKILL may take before the call says that the kernel holds the process.
constexpr std::chrono::seconds kKillTime{30};

bool hasEnded(const records::ContainerRecord& record) {
  return record.state() != v1::CONTAINER_RUNNING;
}

// Whether the container has ended by `until()`, which may have come nearer when its record changes.
template <class Until>
absl::StatusOr<bool> awaitEnd(const plugins::Operation& op, Container& container, Until until) {
  for (;;) {
    const Deadline end = until();
    const auto changed = [&](const records::ContainerRecord& record) {
      return hasEnded(record) || until() < end;
    };
    container.awaitChange(std::min({end, op.deadline(), Deadline::clock::now() + kLook}), changed);
    if (container.peek(hasEnded)) return true;
    if (until() <= Deadline::clock::now()) return false;
    BERTH_RETURN_IF_ERROR(op.check());
  }
}

// A checkpoint holds the container's turn for long, and is of no use to who stops the container.
void cancelCheckpoints(Operations& operations, const Container& container) {
  operations.cancel(strCat("checkpoint ", container.id(), " "));
  operations.cancel(strCat("checkpoint pod ", container.pod().id(), " "));
}

}  // namespace

absl::Status Engine::stopContainer(const std::string& id, std::chrono::seconds grace,
                                   Deadline deadline) {
  if (grace.count() < 0) {
    return absl::InvalidArgumentError(
        strCat("StopContainer: timeout ", grace.count(), " must not be negative"));
  }
  auto container = findContainer(id);
  if (absl::IsNotFound(container.status())) return absl::OkStatus();
  if (!container.ok()) return container.status();
  grace = std::min(grace, std::chrono::seconds(365 * 24 * 3600));
  // A repeated call with less patience shortens the stop that is under way.
  const Deadline killAt = Deadline::clock::now() + grace;
  (*container)->bringStopForward(killAt);
  cancelCheckpoints(operations_, **container);
  return operations_
      .run(strCat("stop ", (*container)->id()), strCat("StopContainer ", (*container)->id()),
           deadline,
           [this, container = *container,
            killAt](plugins::Operation& op) -> absl::StatusOr<std::string> {
             BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *container));
             if (container->state() == v1::CONTAINER_CREATED) {
               // It may have been about to start when the last daemon ended.
               BERTH_RETURN_IF_ERROR(holderOf(container->pod()).status());
               BERTH_RETURN_IF_ERROR(checkReached(container->pod()));
               container->forgetStop();
               return container->id();
             }
             // Another stop, before its start, may have forgotten this one's time.
             container->bringStopForward(killAt);
             BERTH_RETURN_IF_ERROR(support::annotate(stop(op, *container),
                                                     strCat("stop container ", container->id())));
             return container->id();
           })
      .status();
}

absl::Status Engine::stop(plugins::Operation& op, Container& container) {
  if (container.state() != v1::CONTAINER_RUNNING) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                         runtimeOf(container.pod()));
  const std::string& pod = container.pod().id();
  if (container.killAt() > Deadline::clock::now()) {
    const int signal =
        container.peek([](const records::ContainerRecord& r) { return r.stop_signal(); });
    op.setStage("wait for the container to end by its stop signal");
    const absl::Status told = runtime->killContainer(
        op, pod, container.id(), signal == 0 ? SIGTERM : signal, plugins::KillScope::kFirstProcess);
    // Who does not hear it in time is killed in time.
    BERTH_RETURN_IF_ERROR(absl::IsDeadlineExceeded(told) ? op.check() : told);
    // Whoever brings the time forward wakes the wait.
    BERTH_ASSIGN_OR_RETURN(const bool ended,
                           awaitEnd(op, container, [&] { return container.killAt(); }));
    if (ended) return absl::OkStatus();
  }
  op.setStage("wait for the container to end by SIGKILL");
  BERTH_RETURN_IF_ERROR(
      runtime->killContainer(op, pod, container.id(), SIGKILL, plugins::KillScope::kAllProcesses));
  const Deadline until = Deadline::clock::now() + kKillTime;
  BERTH_ASSIGN_OR_RETURN(const bool killed, awaitEnd(op, container, [&] { return until; }));
  if (killed) return absl::OkStatus();
  return absl::DeadlineExceededError(
      "its process has not ended after SIGKILL; the kernel holds it, often in uninterruptible I/O");
}

absl::Status Engine::removeContainer(const std::string& id, Deadline deadline) {
  auto container = findContainer(id);
  if (absl::IsNotFound(container.status())) return absl::OkStatus();
  if (!container.ok()) return container.status();
  cancelCheckpoints(operations_, **container);
  return operations_
      .run(strCat("remove ", (*container)->id()), strCat("RemoveContainer ", (*container)->id()),
           deadline,
           [this, container = *container](plugins::Operation& op) -> absl::StatusOr<std::string> {
             BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *container));
             BERTH_RETURN_IF_ERROR(support::annotate(removeContainer(op, container),
                                                     strCat("remove container ", container->id())));
             return container->id();
           })
      .status();
}

absl::Status Engine::removeContainer(plugins::Operation& op,
                                     const std::shared_ptr<Container>& container) {
  // Another removal was first: its end is told once.
  if (!findContainer(container->id()).ok()) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(releaseContainer(op, *container));
  BERTH_RETURN_IF_ERROR(container->retire());
  forget(*container);
  lifeEvents_.removed(*container);
  images_.collectGarbage();
  return absl::OkStatus();
}

// Frees all that the container holds. Runs every step: each is done again by the next call.
absl::Status Engine::releaseContainer(plugins::Operation& op, Container& container) {
  const records::ContainerRecord record = container.record();
  // A stopped pod has released its containers already.
  BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> holder, holderOf(container.pod()));
  if (holder != nullptr) {
    BERTH_RETURN_IF_ERROR(checkReached(container.pod()));
    op.setStage("remove the container from its runtime");
    // Its root filesystem may be in use when this fails.
    BERTH_RETURN_IF_ERROR(holder->removeContainer(op, container.pod().id(), container.id()));
  }
  support::StatusCollector failures;
  op.setStage("release the volumes");
  failures.add(releaseVolumes(op, record));
  op.setStage("release the root filesystem");
  const std::string directory = containerDirectory(container.id());
  layerUsages_.forget(container.id());
  auto snapshotter = registry_.snapshotter(record.snapshotter());
  absl::Status released = snapshotter.status();
  if (released.ok()) {
    released = (*snapshotter)->unmount(op, container.id(), strCat(directory, "/rootfs"));
  }
  if (released.ok()) released = (*snapshotter)->remove(op, container.id());
  failures.add(released);
  if (released.ok()) failures.add(releaseRestore(op, record));
  if (failures.ok()) failures.add(support::removeTree(directory));
  return failures.status();
}

// Its name is free at once: a repeated request makes another container.
void Engine::discardContainer(const std::shared_ptr<Container>& container) {
  freeName(*container);
  Retries::Task task = undoOf(container);
  // The caller's own time may be up: undoing has its own.
  plugins::Operation undo(task.name, Deadline::clock::now() + task.time);
  const absl::Status status = task.work(undo);
  if (status.ok()) return;
  common::logWarning("undoing a failed CreateContainer failed; it is tried again",
                     {{"container", container->id()}, {"error", status.ToString()}});
  retries_.addLater(std::move(task));
}

Retries::Task Engine::undoOf(const std::shared_ptr<Container>& container) {
  return {.name = strCat("undo CreateContainer ", container->id()),
          .work = [this, container](plugins::Operation& op) -> absl::Status {
            BERTH_ASSIGN_OR_RETURN(Turn turn, Turn::take(op, *container));
            return removeContainer(op, container);
          }};
}

}  // namespace berth::engine
