#include "engine/event_stream.hpp"

#include <algorithm>
#include <utility>

#include "berth/support/status.hpp"

namespace berth::engine {

using support::strCat;

struct EventStream::Subscription::Place {
  uint64_t next = 0;  // the number of the first event that its reader has not got
  bool vacant = false;
  bool cutOff = false;
  Clock::time_point cutOffAt;
  std::function<void()> abandon;  // empty once it was called
  std::condition_variable wake;
};

EventStream::Subscription::~Subscription() {
  {
    std::lock_guard lock(stream_.mutex_);
    if (!stream_.closed_) std::erase(stream_.places_, place_);
    place_->abandon = nullptr;
    stream_.update();
  }
  stream_.settle();
}

absl::StatusOr<SharedEvent> EventStream::Subscription::next(std::chrono::milliseconds patience) {
  {
    std::lock_guard lock(stream_.mutex_);
    if (handedOut_ && !place_->cutOff) ++place_->next;
    handedOut_ = false;
    stream_.update();
  }
  stream_.settle();
  std::unique_lock lock(stream_.mutex_);
  place_->wake.wait_for(lock, patience, [this] {
    return place_->cutOff || place_->next < stream_.end() || stream_.closed_;
  });
  if (place_->cutOff) {
    return absl::ResourceExhaustedError(
        strCat("more than ", kMostWaiting,
               " events waited to be read; list pods and containers, and subscribe again"));
  }
  if (place_->next < stream_.end()) {
    handedOut_ = true;
    return stream_.log_[place_->next - stream_.first_].message;
  }
  if (stream_.closed_) return absl::UnavailableError("the daemon is ending; subscribe again");
  return SharedEvent();
}

void EventStream::expectReturn(Places places) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < std::min(places.reading + places.cutOff, kMostSubscribers); ++i) {
    auto place = std::make_shared<Place>();
    place->next = end();
    place->vacant = true;
    place->cutOff = i >= places.reading;
    places_.push_back(std::move(place));
  }
  returnUntil_ = Clock::now() + times_.returning;
  update();
}

EventStream::Clock::time_point EventStream::returnDeadline() const {
  std::lock_guard lock(mutex_);
  return vacantPlace() == nullptr ? Clock::time_point::max() : returnUntil_;
}

void EventStream::giveUpReturns() {
  {
    std::lock_guard lock(mutex_);
    if (Clock::now() < returnUntil_) return;
    std::erase_if(places_, [](const auto& place) { return place->vacant; });
    update();
  }
  settle();
}

EventStream::Places EventStream::places() const {
  std::lock_guard lock(mutex_);
  Places places;
  for (const auto& place : places_) {
    ++(place->cutOff || place->next < told_ ? places.cutOff : places.reading);
  }
  return places;
}

// Under the lock, as all below. Those that were cut off come last: their readers were slow.
std::shared_ptr<EventStream::Place> EventStream::vacantPlace() const {
  std::shared_ptr<Place> last;
  for (const auto& place : places_) {
    if (!place->vacant) continue;
    if (!place->cutOff) return place;
    if (last == nullptr) last = place;
  }
  return last;
}

bool EventStream::isLate(const Place& place, Clock::time_point now) const {
  return place.next < end() && log_[place.next - first_].published + times_.late <= now;
}

// Finds out which events count as told, and lets go of those that all have got.
void EventStream::update() {
  const auto now = Clock::now();
  uint64_t furthest = 0;
  uint64_t slowest = end();
  uint64_t waited = end();
  bool read = false;
  for (const auto& place : places_) {
    if (place->cutOff) continue;
    read = true;
    furthest = std::max(furthest, place->next);
    slowest = std::min(slowest, place->next);
    if (!isLate(*place, now)) waited = std::min(waited, place->next);
  }
  // With no reader nobody is to hear of it. One who is ahead of all others may be late as well.
  const uint64_t told = read ? std::min(furthest, waited) : end();
  for (; told_ < told; ++told_) due_.push_back(std::move(log_[told_ - first_].told));
  for (; first_ < std::min(slowest, told_); ++first_) log_.pop_front();
  // Once closed it stays as it was: what happens until the end is for the next daemon to tell.
  if (!closed_) listening_ = !places_.empty();
}

absl::StatusOr<std::unique_ptr<EventStream::Subscription>> EventStream::subscribe(
    std::function<void()> abandon) {
  std::lock_guard lock(mutex_);
  if (closed_) return absl::UnavailableError("the daemon is ending; subscribe again");
  const auto taken = std::count_if(places_.begin(), places_.end(),
                                   [](const auto& place) { return !place->vacant; });
  if (static_cast<size_t>(taken) >= kMostSubscribers) {
    return absl::ResourceExhaustedError(
        strCat("there are ", kMostSubscribers, " subscribers to events already"));
  }
  std::shared_ptr<Place> place = Clock::now() < returnUntil_ ? vacantPlace() : nullptr;
  if (place != nullptr) {
    place->vacant = false;
    place->cutOffAt = Clock::now();
    if (!firstIsBack_) returnUntil_ = std::min(returnUntil_, Clock::now() + times_.joining);
    firstIsBack_ = true;
  } else {
    place = std::make_shared<Place>();
    place->next = end();
    places_.push_back(place);
  }
  place->abandon = std::move(abandon);
  update();
  return std::unique_ptr<Subscription>(new Subscription(*this, std::move(place)));
}

void EventStream::publish(LifeEvent event, std::function<void()> told) {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  const auto now = Clock::now();
  log_.push_back({std::make_shared<const LifeEvent>(std::move(event)), std::move(told), now});
  for (const auto& place : places_) {
    if (place->cutOff || end() - place->next > kMostWaiting) cutOff(*place, now);
    place->wake.notify_one();
  }
  update();
}

void EventStream::cutOff(Place& place, Clock::time_point now) {
  if (!place.cutOff) {
    place.cutOff = true;
    place.cutOffAt = now;
  } else if (place.abandon && now - place.cutOffAt > times_.stuck) {
    std::exchange(place.abandon, nullptr)();
  }
}

void EventStream::settle() {
  std::unique_lock lock(mutex_);
  if (settling_) return;  // whoever does it goes on until nothing is due
  settling_ = true;
  while (!due_.empty()) {
    const std::function<void()> told = std::move(due_.front());
    due_.pop_front();
    lock.unlock();
    if (beforeTold_) beforeTold_();
    told();
    lock.lock();
  }
  settling_ = false;
}

void EventStream::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& place : places_) place->wake.notify_all();
}

}  // namespace berth::engine
