#include "images/flights.hpp"

namespace berth::images {

bool Flight::isWorthWaitingFor(const std::string& registry,
                               std::chrono::milliseconds patience) const {
  if (registry_.empty() || registry_ == registry) return true;
  const auto taken = std::chrono::duration<double>(Clock::now() - begun_);
  if (taken < patience) return true;
  const auto fetched = static_cast<double>(fetched_);
  const double left = static_cast<double>(size_) - fetched;
  return left <= 0 || (fetched > 0 && taken * (left / fetched) < patience);
}

std::shared_ptr<Flight> Flights::toWaitFor(const std::string& name, const std::string& registry,
                                           std::chrono::milliseconds patience) const {
  const auto [begin, end] = flights_.equal_range(name);
  for (auto each = begin; each != end; ++each)
    if (each->second->isWorthWaitingFor(registry, patience)) return each->second;
  return nullptr;
}

std::shared_ptr<Flight> Flights::begin(const std::string& name, std::string registry,
                                       uint64_t size) {
  auto flight = std::make_shared<Flight>(std::move(registry), size);
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
    if (done) each->second->beOutrun();
    ++each;
  }
}

}  // namespace berth::images
