// The one place that tells of objects' lives (CRI, GetContainerEvents).
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "engine/event_stream.hpp"
#include "engine/objects.hpp"
#include "store/store.hpp"

namespace berth::engine {

// Compares how far each object is in its life with what has been told of it, and publishes the
// steps between: so each step is told once and in order, however many threads report the same
// change. How far the telling came is kept with the object's record, which outlives the object
// until its deletion has been told: what was not told when the daemon ended is told by the next
// one. All functions are thread-safe; none may be called while an object or the engine's maps are
// locked.
class LifeEvents final : public LifeObserver {
 public:
  // `fill` adds the statuses of the pod and its containers, as they are at that moment.
  using Fill = std::function<void(const Pod& pod, LifeEvent& event)>;
  LifeEvents(store::Store& store, Fill fill, EventStream::Times times = {})
      : store_(store), fill_(std::move(fill)), stream_(times, [this] { noteListeners(); }) {}

  // When clients were listening when the daemon ended, events are kept for them from here on.
  absl::Status start();

  bool listening() const override { return stream_.listening(); }
  // Publishes the steps that the object has made. Idempotent.
  void onStep(Pod& pod) override;
  void onStep(Container& container) override;
  // The object is gone, from lists too, and retired. Its record is erased once that is told.
  void removed(Pod& pod);
  void removed(Container& container);

  // One who listens, until it is destroyed.
  class Listener {
   public:
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    // See EventStream::Subscription.
    absl::StatusOr<SharedEvent> next(std::chrono::milliseconds patience) {
      return subscription_->next(patience);
    }

   private:
    friend class LifeEvents;
    Listener(LifeEvents& events, std::unique_ptr<EventStream::Subscription> subscription)
        : events_(events), subscription_(std::move(subscription)) {}
    LifeEvents& events_;
    std::unique_ptr<EventStream::Subscription> subscription_;
  };
  absl::StatusOr<std::unique_ptr<Listener>> subscribe(std::function<void()> abandon);
  // See EventStream.
  EventStream::Clock::time_point returnDeadline() const { return stream_.returnDeadline(); }
  void giveUpReturns();
  void close();

 private:
  template <class Object>
  void announce(Object& object, const Pod& pod);
  template <class Object>
  void announceRemoval(Object& object, const Pod& pod);
  LifeEvent makeEvent(const std::string& id, const Pod& pod);
  void publish(LifeEvent& event, runtime::v1::ContainerEventType type, std::function<void()> told);
  // After events were published or listeners came or went; without the lock.
  void settle();
  // Keeps durably how many listen. Before an event counts as told: who was cut off has lost it.
  void noteListeners();

  store::Store& store_;
  const Fill fill_;
  EventStream stream_;
  std::mutex mutex_;      // held from looking at an object to publishing what it says
  int64_t lastTime_ = 0;  // CLOCK_REALTIME, nanoseconds
  std::mutex listenersMutex_;
  EventStream::Places known_;               // what the store says
  EventStream::Clock::time_point retryAt_;  // when it could not be said
  bool closed_ = false;
};

}  // namespace berth::engine
