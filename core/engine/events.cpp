// What plugins tell of their own accord, and what is told to clients.
#include <algorithm>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/ends.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

constexpr std::chrono::seconds kAskTime{10};
constexpr std::chrono::hours kLongWait{1};

}  // namespace

void Engine::deliver(plugins::Event event) {
  {
    std::lock_guard lock(eventsMutex_);
    events_.push_back(std::move(event));
  }
  eventsWake_.notify_one();
}

void Engine::eventLoop() {
  std::unique_lock lock(eventsMutex_);
  for (;;) {
    waitForEvents(lock);
    if (events_.empty()) return;  // stopping, and all is handled
    const plugins::Event event = std::move(events_.front());
    events_.pop_front();
    lock.unlock();
    handle(event);
    lock.lock();
  }
}

// Until there is an event, or the engine stops; what is kept for listeners that do not come back
// goes in time.
void Engine::waitForEvents(std::unique_lock<std::mutex>& lock) {
  while (!stopping_ && events_.empty()) {
    // wait_until with time_point::max overflows in libstdc++'s clock conversion.
    const auto until =
        std::min(lifeEvents_.returnDeadline(), EventStream::Clock::now() + kLongWait);
    if (eventsWake_.wait_until(lock, until) == std::cv_status::no_timeout) continue;
    lock.unlock();
    lifeEvents_.giveUpReturns();
    lock.lock();
  }
}

absl::StatusOr<std::unique_ptr<LifeEvents::Listener>> Engine::subscribe(
    std::function<void()> abandon) {
  auto listener = lifeEvents_.subscribe(std::move(abandon));
  // What is kept for those who come back goes earlier from now on. Under the lock, or the loop
  // could have looked at the time already and not be waiting yet.
  const std::lock_guard lock(eventsMutex_);
  eventsWake_.notify_all();
  return listener;
}

void Engine::addStatuses(const Pod& pod, LifeEvent& event) const {
  *event.mutable_pod_sandbox_status() = statusOf(pod);
  for (v1::ContainerStatus& status : containerStatusesOf(pod)) {
    *event.add_containers_statuses() = std::move(status);
  }
}

void Engine::handle(const plugins::Event& event) {
  switch (event.kind) {
    case BERTH_EVENT_CONTAINER_EXITED:
      return handleExit(event);
    case BERTH_EVENT_CONTAINER_OOM:
      common::logWarning("the kernel's OOM killer ended a process of a container",
                         {{"pod", event.pod}, {"container", event.container}});
      return;
    case BERTH_EVENT_POD_LOST:
      return handlePodLost(event);
    default:
      return;  // an event of a later ABI, or one nobody waits for
  }
}

void Engine::handleExit(const plugins::Event& event) {
  auto container = findContainer(event.container);
  if (!container.ok()) return;  // removed meanwhile
  plugins::ContainerStatus status;
  status.id = event.container;
  status.state = BERTH_CONTAINER_EXITED;
  status.exitCode = event.exitCode;
  status.finishedAt = event.timestamp;
  status.message = event.message;
  status.oomKilled = (event.flags & BERTH_EVENT_OOM_KILLED) != 0;
  if (absl::Status recorded = recordExit(**container, status); !recorded.ok()) {
    common::logError("a container's exit could not be recorded",
                     {{"container", event.container}, {"error", recorded.ToString()}});
  }
}

absl::Status Engine::collectExit(plugins::Operation& op, Container& container,
                                 std::string_view message) {
  if (container.state() == v1::CONTAINER_RUNNING) {
    BERTH_ASSIGN_OR_RETURN(const std::shared_ptr<plugins::Runtime> runtime,
                           runtimeOf(container.pod()));
    auto status = runtime->waitContainer(op, container.pod().id(), container.id());
    if (!status.ok() && !absl::IsNotFound(status.status())) return status.status();
    // Where its runtime knows nothing of it any more: it ran, and it does not.
    BERTH_RETURN_IF_ERROR(status.ok() ? recordEnd(container, *status)
                                      : recordUnknownEnd(container, message, 0));
  }
  // Who learned of its end first may have failed to keep it, or be about to.
  return container.keepChanges();
}

void Engine::handlePodLost(const plugins::Event& event) {
  auto pod = findPod(event.pod);
  if (!pod.ok() || (*pod)->state() == records::POD_STOPPED) return;
  common::logWarning("a pod's isolation ended by itself",
                     {{"pod", event.pod}, {"reason", event.message}});
  (*pod)->setReached(absl::OkStatus());
  recovery_.recordLoss(**pod);
  // Asking the runtime blocks: other pods' events go on meanwhile.
  retries_.add({.name = strCat("collect the exits of ", (*pod)->id()),
                .time = kAskTime,
                .work = [this, lost = *pod, message = event.message](plugins::Operation& op) {
                  return recovery_.collectExits(op, *lost, message);
                }});
}

}  // namespace berth::engine
