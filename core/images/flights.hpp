// Layers that are being made or removed just now, for others to wait for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>

#include <absl/status/status.h>

#include "plugins/operation.hpp"

namespace berth::images {

// What one call does to a layer. Thread-safe.
class Flight {
 public:
  using Clock = plugins::Operation::Clock;

  // `registry`: that the layer's `size` bytes come from; empty when they come from nowhere.
  Flight(std::string registry, uint64_t size) : registry_(std::move(registry)), size_(size) {}

  // Whether one who would fetch the layer from `registry` waits for this rather than for its own
  // download: the same registry's, or one that is not known to need more than `patience` from now.
  // Nobody's registry may keep layers from others' images.
  bool isWorthWaitingFor(const std::string& registry, std::chrono::milliseconds patience) const;

  // The bytes that have come in.
  std::atomic<uint64_t>& fetched() { return fetched_; }
  // Whether another call is at work on the same layer, or was.
  bool isRivalled() const { return rivalled_; }
  // Whether that one has brought it, so that this one need not go on.
  bool isOutrun() const { return outrun_; }
  void beOutrun() { outrun_ = true; }

  std::shared_future<absl::Status> ended() const { return ended_; }
  // Once, when it is under way no more.
  void land(absl::Status status) { promise_.set_value(std::move(status)); }

 private:
  friend class Flights;
  const std::string registry_;
  const uint64_t size_;
  const Clock::time_point begun_ = Clock::now();
  std::atomic<uint64_t> fetched_{0};
  std::atomic<bool> rivalled_{false};
  std::atomic<bool> outrun_{false};
  std::promise<absl::Status> promise_;
  const std::shared_future<absl::Status> ended_ = promise_.get_future().share();
};

// Those under way, by name. Not thread-safe.
class Flights {
 public:
  bool contains(const std::string& name) const { return flights_.contains(name); }
  // One that is worth waiting for; null when there is none.
  std::shared_ptr<Flight> toWaitFor(const std::string& name, const std::string& registry,
                                    std::chrono::milliseconds patience) const;
  std::shared_ptr<Flight> begin(const std::string& name, std::string registry, uint64_t size);
  // `done`: those that are under way for the same name need not go on.
  void end(const std::string& name, const std::shared_ptr<Flight>& flight, bool done);

 private:
  std::multimap<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace berth::images
