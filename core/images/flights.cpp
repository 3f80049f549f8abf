#include "images/flights.hpp"

namespace berth::images {

bool Flight::isWorthWaitingFor(const std::string& registry,
                               std::chrono::milliseconds patience) const {
  if (outrun_) return false;
  if (source_.registry.empty() || source_.registry == registry) return true;
  const std::chrono::duration<double> waited = this->waited();
  if (waited < patience) return true;
  const auto fetched = static_cast<double>(fetched_);
  const double left = static_cast<double>(source_.size) - fetched;
  return left <= 0 || (fetched > 0 && waited * (left / fetched) < patience);
}

void Flight::beginWaiting() {
  const std::lock_guard lock(mutex_);
  waitsSince_ = Clock::now();
}

void Flight::endWaiting() {
  const std::lock_guard lock(mutex_);
  waited_ += Clock::now() - *waitsSince_;
  waitsSince_.reset();
}

Flight::Clock::duration Flight::waited() const {
  const std::lock_guard lock(mutex_);
  return waitsSince_ ? waited_ + (Clock::now() - *waitsSince_) : waited_;
}

std::shared_ptr<Flight> Flights::toWaitFor(const std::string& name, const std::string& registry,
                                           std::chrono::milliseconds patience) const {
  const auto [begin, end] = flights_.equal_range(name);
  std::shared_ptr<Flight> last;
  size_t count = 0;
  for (auto each = begin; each != end; ++each) {
    if (each->second->isOutrun()) continue;
    if (each->second->isWorthWaitingFor(registry, patience)) return each->second;
    last = each->second;
    ++count;
  }
  return count < kMost ? nullptr : last;
}

std::shared_ptr<Flight> Flights::begin(const std::string& name, Flight::Source source) {
  auto flight = std::make_shared<Flight>(std::move(source));
  const auto [begin, end] = flights_.equal_range(name);
  for (auto each = begin; each != end; ++each) {
    each->second->rivalled_ = true;
    flight->rivalled_ = true;
  }
  flights_.emplace(name, flight);
  return flight;
}

void Flights::end(const std::string& name, const std::shared_ptr<Flight>& flight, bool done) {
  const auto [begin, end] = flights_.equal_range(name);
  for (auto each = begin; each != end;) {
    if (each->second == flight) {
      each = flights_.erase(each);
      continue;
    }
    if (done && each->second->source_.blob == flight->source_.blob) each->second->beOutrun();
    ++each;
  }
}

}  // namespace berth::images
