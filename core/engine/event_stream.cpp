#include "engine/event_stream.hpp"

#include <algorithm>

#include "berth/support/status.hpp"

namespace berth::engine {

using support::strCat;

EventStream::Subscription::~Subscription() {
  std::deque<SharedEvent> released;  // let go of outside the lock: that may call back
  {
    std::lock_guard lock(stream_.mutex_);
    std::erase(stream_.subscribers_, this);
    released.swap(waiting_);
    stream_.update();
  }
}

absl::StatusOr<SharedEvent> EventStream::Subscription::next(std::chrono::milliseconds patience) {
  std::unique_lock lock(stream_.mutex_);
  wake_.wait_for(lock, patience,
                 [this] { return !waiting_.empty() || cutOff_ || stream_.closed_; });
  if (cutOff_) {
    return absl::ResourceExhaustedError(
        strCat("more than ", kMostWaiting,
               " events waited to be read; list pods and containers, and subscribe again"));
  }
  if (!waiting_.empty()) {
    SharedEvent event = std::move(waiting_.front());
    waiting_.pop_front();
    return event;
  }
  if (stream_.closed_) return absl::UnavailableError("the daemon is ending; subscribe again");
  return SharedEvent();
}

void EventStream::expectReturn() {
  std::lock_guard lock(mutex_);
  keepUntil_ = Clock::now() + kReturnTime;
  update();
}

EventStream::Clock::time_point EventStream::returnDeadline() const {
  std::lock_guard lock(mutex_);
  return keepUntil_ == Clock::time_point::min() ? Clock::time_point::max() : keepUntil_;
}

void EventStream::forgetKept() {
  std::deque<Kept> released;  // let go of after the lock
  std::lock_guard lock(mutex_);
  if (Clock::now() < keepUntil_) return;
  keepUntil_ = Clock::time_point::min();
  released.swap(kept_);
  update();
}

bool EventStream::hasSubscribers() const {
  std::lock_guard lock(mutex_);
  return !subscribers_.empty();
}

// Under the lock.
void EventStream::update() {
  // Once closed it stays as it was: what happens until the end is for those who come back.
  if (!closed_) listening_ = !subscribers_.empty() || keepUntil_ != Clock::time_point::min();
}

absl::StatusOr<std::unique_ptr<EventStream::Subscription>> EventStream::subscribe(
    std::function<void()> abandon) {
  std::lock_guard lock(mutex_);
  if (closed_) return absl::UnavailableError("the daemon is ending; subscribe again");
  if (subscribers_.size() >= kMostSubscribers) {
    return absl::ResourceExhaustedError(
        strCat("there are ", kMostSubscribers, " subscribers to events already"));
  }
  std::unique_ptr<Subscription> subscription(new Subscription(*this, std::move(abandon)));
  if (Clock::now() < keepUntil_) {
    for (Kept& event : kept_) {
      subscription->waiting_.push_back(event.untold ? std::move(event.untold) : event.message);
    }
    if (!firstIsBack_) keepUntil_ = std::min(keepUntil_, Clock::now() + kJoinTime);
    firstIsBack_ = true;
  }
  subscribers_.push_back(subscription.get());
  update();
  return subscription;
}

std::vector<SharedEvent> EventStream::publish(LifeEvent event, std::function<void()> told) {
  std::vector<SharedEvent> released;
  std::lock_guard lock(mutex_);
  if (closed_) return released;
  const auto message = std::make_shared<const LifeEvent>(std::move(event));
  const SharedEvent shared(message.get(),
                           [message, told = std::move(told)](const LifeEvent*) { told(); });
  released.push_back(shared);
  if (Clock::now() < keepUntil_) {
    kept_.push_back({message, subscribers_.empty() ? shared : nullptr});
    if (kept_.size() > kMostWaiting) {
      released.push_back(std::move(kept_.front().untold));
      kept_.pop_front();
    }
  }
  for (Subscription* subscriber : subscribers_) {
    if (subscriber->waiting_.size() >= kMostWaiting || subscriber->cutOff_) {
      cutOff(*subscriber, released);
    } else {
      subscriber->waiting_.push_back(shared);
    }
    subscriber->wake_.notify_one();
  }
  return released;
}

void EventStream::cutOff(Subscription& subscriber, std::vector<SharedEvent>& released) {
  if (!subscriber.cutOff_) {
    subscriber.cutOff_ = true;
    subscriber.cutOffAt_ = Clock::now();
    for (SharedEvent& event : subscriber.waiting_) released.push_back(std::move(event));
    subscriber.waiting_.clear();
  } else if (!subscriber.abandoned_ && Clock::now() - subscriber.cutOffAt_ > kStuckTime) {
    subscriber.abandoned_ = true;
    subscriber.abandon_();
  }
}

void EventStream::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  for (Subscription* subscriber : subscribers_) subscriber->wake_.notify_all();
}

}  // namespace berth::engine
