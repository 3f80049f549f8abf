#include "engine/life_events.hpp"

#include <algorithm>

#include <absl/strings/numbers.h>

#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"
#include "common/log.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;
using support::strCat;

namespace {

// How many listen, as "2 0": those who read, and those who were cut off. Whoever did when the
// daemon ended is expected back.
constexpr std::string_view kMarkKind = "events";
constexpr std::string_view kMarkId = "listeners";

constexpr std::chrono::seconds kRetry{1};

std::string markOf(const EventStream::Places& places) {
  return strCat(places.reading, " ", places.cutOff);
}

EventStream::Places placesOf(const std::string& mark) {
  EventStream::Places places;
  const size_t space = mark.find(' ');
  if (space != std::string::npos && absl::SimpleAtoi(mark.substr(0, space), &places.reading) &&
      absl::SimpleAtoi(mark.substr(space + 1), &places.cutOff)) {
    return places;
  }
  return {.reading = 1};  // an older daemon's mark says only that somebody listened
}

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

// Of an object that is gone.
template <class Object>
void eraseRecord(Object& object) {
  const absl::Status erased = object.erase();
  if (erased.ok()) return;
  common::logWarning("the record of what was removed stays; the next start erases it",
                     {{"id", object.id()}, {"error", erased.ToString()}});
}

}  // namespace

absl::Status LifeEvents::start() {
  auto mark = store_.get(kMarkKind, kMarkId);
  if (absl::IsNotFound(mark.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(mark.status());
  known_ = placesOf(*mark);
  stream_.expectReturn(known_);
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
  // Told once the pod is whole.
  if (pod.peek([](const records::PodRecord& r) { return r.restoring(); })) return;
  {
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
      publish(event, typeOf(step),
              [kept = object.shared_from_this(), step] { keepTold(*kept, step); });
    }
  }
  settle();
}

template <class Object>
void LifeEvents::announceRemoval(Object& object, const Pod& pod) {
  bool toBeTold = false;
  {
    std::lock_guard lock(mutex_);
    toBeTold = object.announced() != LifeStep::kNone && listening();
    if (toBeTold) {
      LifeEvent event = makeEvent(object.id(), pod);
      publish(event, v1::CONTAINER_DELETED_EVENT,
              [gone = object.shared_from_this()] { eraseRecord(*gone); });
    }
  }
  if (!toBeTold) eraseRecord(object);
  settle();
}

LifeEvent LifeEvents::makeEvent(const std::string& id, const Pod& pod) {
  LifeEvent event;
  event.set_container_id(id);
  fill_(pod, event);
  return event;
}

void LifeEvents::publish(LifeEvent& event, v1::ContainerEventType type,
                         std::function<void()> told) {
  // The kubelet drops an event that is older than what it knows of the pod, so the time is that of
  // the statuses in it, and no two events have the same.
  lastTime_ = std::max(lastTime_ + 1, support::nowNanoseconds());
  event.set_container_event_type(type);
  event.set_created_at(lastTime_);
  stream_.publish(event, std::move(told));
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

void LifeEvents::giveUpReturns() {
  stream_.giveUpReturns();
  noteListeners();
}

void LifeEvents::settle() {
  noteListeners();
  stream_.settle();
}

void LifeEvents::noteListeners() {
  std::lock_guard lock(listenersMutex_);
  const EventStream::Places places = stream_.places();
  const auto now = EventStream::Clock::now();
  if (closed_ || places == known_ || now < retryAt_) return;
  absl::Status kept = places == EventStream::Places()
                          ? store_.erase(kMarkKind, kMarkId)
                          : store_.put(kMarkKind, kMarkId, markOf(places));
  if (kept.ok()) {
    known_ = places;
  } else {
    // A full disk, as a rule: it must not be tried anew with each step of each pod.
    retryAt_ = now + kRetry;
    common::logWarning("who listens to events could not be recorded", {{"error", kept.ToString()}});
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
