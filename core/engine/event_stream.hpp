// Events on their way to those who asked for them (CRI, GetContainerEvents).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <absl/status/statusor.h>

#include "cri-runtime-v1.pb.h"

namespace berth::engine {

using LifeEvent = runtime::v1::ContainerEventResponse;
using SharedEvent = std::shared_ptr<const LifeEvent>;

// A log of events, and in it a place for each reader: what lies before a place its reader has got,
// what lies behind it waits for that reader. Who subscribes begins at the log's end, and so gets
// each later event once and in order. A place that falls far behind is cut off, so that it cannot
// make memory grow.
//
// When a daemon starts, the places of those who read when the last one ended are vacant. Who
// subscribes takes over a vacant one, with all that waits there, while there are any.
//
// An event counts as told once all readers have got it; who is late is not waited for when another
// one has it. Thread-safe; publishing never blocks.
class EventStream {
 public:
  using Clock = std::chrono::steady_clock;
  // Events that may wait for one reader.
  static constexpr size_t kMostWaiting = 1000;
  static constexpr size_t kMostSubscribers = 512;
  struct Times {
    // How long the note that an event was told waits for those who are slower than others.
    Clock::duration late = std::chrono::seconds(1);
    // How long one that was cut off may hold on to what it has not read.
    Clock::duration stuck = std::chrono::seconds(60);
    // How long places stay vacant, and how long after the first has been taken.
    Clock::duration returning = std::chrono::minutes(5);
    Clock::duration joining = std::chrono::seconds(15);
  };
  // How many places there are, vacant ones too.
  struct Places {
    size_t reading = 0;
    // Their readers have lost events and have not heard of it yet, or would lose some if the daemon
    // ended now: what counts as told is not told again.
    size_t cutOff = 0;
    bool operator==(const Places&) const = default;
  };

  class Subscription {
   public:
    // Gives up the place; once the stream is closed it is kept for the next daemon.
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    // The next event; null when none comes within `patience`. The call after it says that it was
    // delivered. RESOURCE_EXHAUSTED when this one was cut off, UNAVAILABLE when the stream is
    // closed and all is taken.
    absl::StatusOr<SharedEvent> next(std::chrono::milliseconds patience);

   private:
    friend class EventStream;
    struct Place;
    Subscription(EventStream& stream, std::shared_ptr<Place> place)
        : stream_(stream), place_(std::move(place)) {}

    EventStream& stream_;
    const std::shared_ptr<Place> place_;
    bool handedOut_ = false;  // the event at the place, which is being delivered
  };

  EventStream() : EventStream(Times()) {}
  // `beforeTold` is called, without a lock, before each event's `told`: what it finds in places()
  // says of whoever has lost the event that he was cut off.
  explicit EventStream(Times times, std::function<void()> beforeTold = {})
      : times_(times), beforeTold_(std::move(beforeTold)) {}
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  // Once, before anything is published: makes vacant places.
  void expectReturn(Places places);
  // Until when they stay vacant; max: there are none.
  Clock::time_point returnDeadline() const;
  // Removes those whose time is up.
  void giveUpReturns();

  // Whether an event would go to anyone, now or later. False: it need not be made.
  bool listening() const { return listening_; }
  Places places() const;

  // `abandon` is called, once and without blocking, when this subscriber was cut off and has not
  // taken anything since: it must make a blocked delivery fail. RESOURCE_EXHAUSTED when there are
  // too many. The stream must outlive it.
  absl::StatusOr<std::unique_ptr<Subscription>> subscribe(std::function<void()> abandon);
  // `told` is called by settle() once the event counts as told; never when the stream is closed
  // already, because nobody hears of it then.
  void publish(LifeEvent event, std::function<void()> told);
  // Calls what is due of the events that count as told, in their order. Whoever holds no lock that
  // they take; subscriptions do it too.
  void settle();
  // Subscribers get what waits for them, and then the end. What happens afterwards is for the next
  // daemon to tell. Idempotent.
  void close();

 private:
  using Place = Subscription::Place;
  struct Entry {
    SharedEvent message;
    std::function<void()> told;
    Clock::time_point published;
  };

  uint64_t end() const { return first_ + log_.size(); }
  bool isLate(const Place& place, Clock::time_point now) const;
  void cutOff(Place& place, Clock::time_point now);
  void update();
  std::shared_ptr<Place> vacantPlace() const;

  const Times times_;
  const std::function<void()> beforeTold_;
  mutable std::mutex mutex_;
  std::deque<Entry> log_;
  uint64_t first_ = 0;  // the number of the log's first event
  uint64_t told_ = 0;   // of the first that does not count as told
  std::vector<std::shared_ptr<Place>> places_;
  std::deque<std::function<void()>> due_;
  bool settling_ = false;
  Clock::time_point returnUntil_ = Clock::time_point::max();
  bool firstIsBack_ = false;
  bool closed_ = false;
  std::atomic<bool> listening_ = false;
};

}  // namespace berth::engine
