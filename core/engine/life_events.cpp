#include "engine/life_events.hpp"

#include <algorithm>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;

namespace {

// A mark in the store: somebody listens. Whoever did when the daemon ended is expected back.
constexpr std::string_view kMarkKind = "events";
constexpr std::string_view kMarkId = "listeners";

v1::ContainerEventType typeOf(LifeStep step) {
  switch (step) {
    case LifeStep::kCreated:
      return v1::CONTAINER_CREATED_EVENT;
    case LifeStep::kStarted:
      return v1::CONTAINER_STARTED_EVENT;
    default:
      return v1::CONTAINER_STOPPED_EVENT;
  }
}

// Keeps with the object's record that it has been told of up to this step.
template <class Object>
void keepTold(Object& object, LifeStep step) {
  const auto told = static_cast<int32_t>(step);
  if (object.peek([](const auto& r) { return r.told(); }) >= told) return;
  absl::Status kept = object.change([told](auto& r) { r.set_told(std::max(r.told(), told)); });
  if (kept.ok()) return;
  common::logWarning("that an event was delivered could not be recorded; it may be told again",
                     {{"id", object.id()}, {"error", kept.ToString()}});
}

}  // namespace

absl::Status LifeEvents::start() {
  auto mark = store_.get(kMarkKind, kMarkId);
  if (absl::IsNotFound(mark.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(mark.status());
  listenersKnown_ = true;
  stream_.expectReturn();
  return absl::OkStatus();
}

void LifeEvents::onStep(Pod& pod) {
  announce(pod, pod);
}

void LifeEvents::onStep(Container& container) {
  announce(container, container.pod());
}

void LifeEvents::removed(Pod& pod) {
  announceRemoval(pod, pod);
}

void LifeEvents::removed(Container& container) {
  announceRemoval(container, container.pod());
}

template <class Object>
void LifeEvents::announce(Object& object, const Pod& pod) {
  Released released;  // let go of after the lock
  std::lock_guard lock(mutex_);
  const LifeStep from = object.announced();
  struct Now {
    LifeStep step;
    bool begins;
    bool started;
  };
  const Now now = object.peek([&](const auto& r) {
    return Now{lifeStep(r).value_or(from), mayBegin(r), wentThrough(r, LifeStep::kStarted)};
  });
  if (now.step <= from || (from == LifeStep::kNone && !now.begins)) return;
  object.setAnnounced(now.step);
  if (!listening()) return;
  LifeEvent event = makeEvent(object.id(), pod);
  for (LifeStep step : {LifeStep::kCreated, LifeStep::kStarted, LifeStep::kStopped}) {
    if (step <= from || step > now.step) continue;
    if (step == LifeStep::kStarted && !now.started) continue;
    publish(
        event, typeOf(step), [kept = object.shared_from_this(), step] { keepTold(*kept, step); },
        released);
  }
}

template <class Object>
void LifeEvents::announceRemoval(Object& object, const Pod& pod) {
  Released released;  // let go of after the lock
  std::lock_guard lock(mutex_);
  if (object.announced() == LifeStep::kNone || !listening()) return;
  LifeEvent event = makeEvent(object.id(), pod);
  publish(
      event, v1::CONTAINER_DELETED_EVENT, [] {}, released);
}

LifeEvent LifeEvents::makeEvent(const std::string& id, const Pod& pod) {
  LifeEvent event;
  event.set_container_id(id);
  fill_(pod, event);
  return event;
}

void LifeEvents::publish(LifeEvent& event, v1::ContainerEventType type, std::function<void()> told,
                         Released& released) {
  // The kubelet drops an event that is older than what it knows of the pod, so the time is that of
  // the statuses in it, and no two events have the same.
  lastTime_ = std::max(lastTime_ + 1, support::nowNanoseconds());
  event.set_container_event_type(type);
  event.set_created_at(lastTime_);
  for (SharedEvent& one : stream_.publish(event, std::move(told)))
    released.push_back(std::move(one));
}

LifeEvents::Listener::~Listener() {
  subscription_.reset();
  events_.noteListeners();
}

absl::StatusOr<std::unique_ptr<LifeEvents::Listener>> LifeEvents::subscribe(
    std::function<void()> abandon) {
  BERTH_ASSIGN_OR_RETURN(auto subscription, stream_.subscribe(std::move(abandon)));
  std::unique_ptr<Listener> listener(new Listener(*this, std::move(subscription)));
  noteListeners();
  return listener;
}

void LifeEvents::forgetKept() {
  stream_.forgetKept();
  noteListeners();
}

void LifeEvents::noteListeners() {
  std::lock_guard lock(listenersMutex_);
  const bool listening = stream_.listening();
  if (closed_ || listening == listenersKnown_) return;
  absl::Status kept =
      listening ? store_.put(kMarkKind, kMarkId, "") : store_.erase(kMarkKind, kMarkId);
  if (kept.ok()) {
    listenersKnown_ = listening;
  } else {
    common::logWarning("whether somebody listens to events could not be recorded",
                       {{"error", kept.ToString()}});
  }
}

void LifeEvents::close() {
  {
    std::lock_guard lock(listenersMutex_);
    closed_ = true;
  }
  stream_.close();
}

}  // namespace berth::engine
