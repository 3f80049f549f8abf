// Events on their way to those who asked for them (CRI, GetContainerEvents).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <absl/status/statusor.h>

#include "cri-runtime-v1.pb.h"

namespace berth::engine {

using LifeEvent = runtime::v1::ContainerEventResponse;
// Whoever got it holds it until it is delivered.
using SharedEvent = std::shared_ptr<const LifeEvent>;

// Each subscriber gets each event that is published while it subscribes, once and in order. An
// event exists once, however many it goes to; a subscriber that falls far behind is cut off, so
// that it cannot make memory grow. Thread-safe; publishing never blocks.
class EventStream {
 public:
  using Clock = std::chrono::steady_clock;
  // Events that may wait for one subscriber, or be kept for those who come back.
  static constexpr size_t kMostWaiting = 1000;
  static constexpr size_t kMostSubscribers = 512;
  // How long events are kept for those who come back, and for how long after the first has come.
  static constexpr std::chrono::minutes kReturnTime{5};
  static constexpr std::chrono::seconds kJoinTime{15};
  // How long one that was cut off may hold on to what it has not read.
  static constexpr std::chrono::seconds kStuckTime{60};

  class Subscription {
   public:
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    // The next event; null when none comes within `patience`. RESOURCE_EXHAUSTED when this one was
    // cut off, UNAVAILABLE when the stream is closed and all is taken.
    absl::StatusOr<SharedEvent> next(std::chrono::milliseconds patience);

   private:
    friend class EventStream;
    Subscription(EventStream& stream, std::function<void()> abandon)
        : stream_(stream), abandon_(std::move(abandon)) {}

    EventStream& stream_;
    const std::function<void()> abandon_;
    std::condition_variable wake_;
    std::deque<SharedEvent> waiting_;
    bool cutOff_ = false;
    bool abandoned_ = false;
    Clock::time_point cutOffAt_;
  };

  EventStream() = default;
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  // From here on events are kept for a while for subscribers that are on their way back: each that
  // comes gets those first that it was not there to hear.
  void expectReturn();
  // Until when that is so; max: nothing is kept.
  Clock::time_point returnDeadline() const;
  // Lets go of what is kept once the time is up.
  void forgetKept();

  // Whether an event would go to anyone, now or later. False: it need not be made.
  bool listening() const { return listening_; }
  // Whether somebody subscribes at this moment.
  bool hasSubscribers() const;

  // `abandon` is called, once and without blocking, when this subscriber was cut off and has not
  // taken anything since: it must make a blocked delivery fail. RESOURCE_EXHAUSTED when there are
  // too many. The stream must outlive it.
  absl::StatusOr<std::unique_ptr<Subscription>> subscribe(std::function<void()> abandon);
  // `told` is called when all whom it went to have let go of it; never when the stream is closed
  // already, because nobody has heard of it then. What is returned is let go of by the caller, once
  // it holds no lock that `told` takes.
  [[nodiscard]] std::vector<SharedEvent> publish(LifeEvent event, std::function<void()> told);
  // Subscribers get what waits for them, and then the end. Idempotent.
  void close();

 private:
  void update();
  void cutOff(Subscription& subscriber, std::vector<SharedEvent>& released);

  struct Kept {
    std::shared_ptr<const LifeEvent> message;
    SharedEvent untold;  // until the first subscriber has it
  };

  mutable std::mutex mutex_;
  std::vector<Subscription*> subscribers_;
  std::deque<Kept> kept_;
  Clock::time_point keepUntil_ = Clock::time_point::min();
  bool firstIsBack_ = false;
  bool closed_ = false;
  std::atomic<bool> listening_ = false;
};

}  // namespace berth::engine
