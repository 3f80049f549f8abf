// A pod's keeper: what it tells, and another one in its place when it has died.
#include <poll.h>
#include <utility>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "pod.hpp"
#include "pod_streams.hpp"

namespace berth::kata {

namespace {

constexpr auto kAskTime = std::chrono::seconds(2);

bool hasHungUp(const support::Fd& connection) {
  pollfd polled{.fd = connection.get()};
  return ::poll(&polled, 1, 0) > 0;
}

std::set<std::string> keysOf(const keeper::Reply& list) {
  std::set<std::string> keys;
  for (const keeper::Entry& entry : list.entries) keys.insert(entry.key);
  return keys;
}

}  // namespace

absl::Status Pod::ensureKeeper(const CallLimits& limits) {
  const PodRecord record = this->record();
  std::set<std::string> open;
  if (const auto known = keeper().list(id_, limits); known.ok()) {
    open = keysOf(*known);
  } else {
    if (absl::IsFailedPrecondition(known.status())) return known.status();
    if (absl::IsUnavailable(known.status())) {
      // Its successor goes on with the same streams.
      BERTH_ASSIGN_OR_RETURN(const bool ended, keeper().endUnreachable(limits));
      if (ended) {
        warn("nobody can reach the pod's keeper; another takes its place",
             support::annotate(known.status(), record.keeperDirectory()));
      }
    }
    BERTH_RETURN_IF_ERROR(startKeeper({.program = record.keeper,
                                       .pod = id_,
                                       .directory = record.keeperDirectory(),
                                       .events = record.eventsSocket,
                                       .logFifo = record.logFifo(),
                                       .logFile = record.shimLog(),
                                       .oomScoreAdj = record.oomScoreAdj},
                                      limits));
  }
  const absl::Status opened = openStreams(open, limits);
  if (!opened.ok()) {
    warn("not everything that a pod's containers write is read; it is tried again", opened);
    post({.kind = Task::Kind::kUnread});
  }
  return absl::OkStatus();
}

absl::Status Pod::openStreams(const std::set<std::string>& open, const CallLimits& limits) {
  support::StatusCollector failures;
  for (const auto& container : containers()) {
    const ContainerRecord each = recordOf(*container);
    if (each.stage == Stage::kExited || open.contains(each.id)) continue;
    const keeper::Request request = openRequest(*this, each);
    // Of one that is just being made the last FIFO may be missing: it opens its streams itself.
    if (!support::pathExists(request.error.empty() ? request.output : request.error)) continue;
    failures.add(keeper().call(request, limits).status());
  }
  std::vector<std::shared_ptr<Exec>> execs;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, exec] : execs_) execs.push_back(exec);
  }
  for (const auto& exec : execs) failures.add(openStreamsOf(*exec, limits));
  return failures.status();
}

// What a keeper lacks of its predecessor's. Until it has them, containers stand still once their
// pipes are full.
void Pod::openRest() {
  unread_ = false;
  if (isEnding() || isDead()) return;
  const CallLimits limits = limitsFor(kAskTime);
  const auto known = keeper().list(id_, limits);
  unread_ = !known.ok() || !openStreams(keysOf(*known), limits).ok();
}

// Of one whose keeper has died: its call ends with that. But until somebody reads what it writes,
// shims do not go on with it: some not with its start either, nor with anything else of their pod.
absl::Status Pod::openStreamsOf(const Exec& exec, const CallLimits& limits) {
  if (!hasHungUp(exec.keeper)) return absl::OkStatus();
  const std::string key = exec.key();
  absl::Status opened = keeper().call(openRequest(*this, key), limits).status();
  // As long as it is known, whoever ends it has yet to have the keeper forget it.
  if (findExec(exec.container, exec.id) != nullptr) return opened;
  return keeper().call({.operation = keeper::Operation::kForget, .key = key}, limits).status();
}

void Pod::drainEvents() {
  for (;;) {
    const auto event = KeeperClient::nextEvent(events_);
    if (absl::IsNotFound(event.status())) return;
    if (event.ok()) {
      if (event->event == keeper::EventKind::kOomKilled) listener_.onContainerOom(id_, event->key);
      if (event->event == keeper::EventKind::kInputEnded) onInputEnded(event->key);
      continue;
    }
    events_.reset();
    if (isEnding() || isDead()) return;
    warn("the keeper of a pod has died; another one takes over", event.status());
    return replaceKeeper();
  }
}

// Until there is one, nobody reads what containers write.
void Pod::replaceKeeper() {
  const bool isNew = !std::exchange(keeperMissing_, false);
  if (isEnding() || isDead()) return;
  const absl::Status again = ensureKeeper(limitsFor(kAskTime));
  auto events =
      again.ok() ? keeper().subscribe(limitsFor(kAskTime)) : absl::StatusOr<support::Fd>(again);
  if (events.ok()) {
    events_ = *std::move(events);
    return;
  }
  keeperMissing_ = true;
  if (isNew) warn("nobody reads what a pod's containers write; it is tried again", events.status());
}

// The shim keeps a write end of its own, which only CloseIO closes; and it must not be asked before
// the process runs, or before our end is closed.
void Pod::onInputEnded(const std::string& key) {
  api::CloseIORequest request;
  request.set_stdin(true);
  std::shared_ptr<Exec> exec;
  {
    const std::lock_guard lock(mutex_);
    const auto found = execs_.find(key);
    if (found != execs_.end()) exec = found->second;
  }
  if (exec != nullptr) {
    if (!inputEndIsDue(*exec, false)) return;
    request.set_id(exec->container);
    request.set_exec_id(exec->id);
  } else {
    const auto container = find(key);
    if (container == nullptr || recordOf(*container).stage != Stage::kRunning) return;
    request.set_id(key);
  }
  const auto client = shim(limitsFor(kAskTime));
  if (client.ok()) (*client)->begin("CloseIO", request, limitsFor(kAskTime), [](const auto&) {});
}

}  // namespace berth::kata
