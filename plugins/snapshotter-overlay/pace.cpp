#include "pace.hpp"

namespace berth::overlay {

Pace::Work::~Work() {
  // In this order: it is never seen at rest in between.
  pace_.worked_ = pace_.surroundings_.now().time_since_epoch().count();
  --pace_.working_;
}

bool Pace::othersRest(Clock::time_point now) const {
  if (working_ > 0) return false;
  // Not a difference: there may be no last time.
  return Clock::duration(worked_) < now.time_since_epoch() - kRest;
}

void Pace::step() {
  const Clock::time_point now = surroundings_.now();
  if (now < turn_ + kTurn || othersRest(now) || surroundings_.hurried()) return;
  surroundings_.pause(kPause);
  turn_ = surroundings_.now();
}

}  // namespace berth::overlay
