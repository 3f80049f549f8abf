// Layers that are being made or removed just now, for others to wait for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <absl/status/status.h>

#include "plugins/operation.hpp"

namespace berth::images {

// What one call does to a layer. Thread-safe.
class Flight {
 public:
  using Clock = plugins::Operation::Clock;

  // Where a layer's bytes come from.
  struct Source {
    std::string registry;  // empty: from nowhere
    std::string blob;      // what tells its bytes from others
    uint64_t size = 0;     // of the blob, in bytes
  };
  explicit Flight(Source source) : source_(std::move(source)) {}

  // Whether one who would fetch the layer from `registry` waits for this rather than for its own
  // download: the same registry's, or one that has not waited for its registry longer than
  // `patience`, or by what it has got will not so long again.
  bool isWorthWaitingFor(const std::string& registry, std::chrono::milliseconds patience) const;

  // The bytes that have come in.
  std::atomic<uint64_t>& fetched() { return fetched_; }
  // It waits for its registry, for a turn at it or for bytes, for as long as this is there; one of
  // them at a time.
  class Waiting {
   public:
    explicit Waiting(Flight& flight) : flight_(flight) { flight_.beginWaiting(); }
    ~Waiting() { flight_.endWaiting(); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Flight& flight_;
  };

  // Whether another call is at work on the same layer, or was.
  bool isRivalled() const { return rivalled_; }
  // Whether another call has brought it, so that this one need not go on.
  bool isOutrun() const { return outrun_; }
  void beOutrun() { outrun_ = true; }

  std::shared_future<absl::Status> ended() const { return ended_; }
  // Once, when it is under way no more.
  void land(absl::Status status) { promise_.set_value(std::move(status)); }

 private:
  friend class Flights;
  void beginWaiting();
  void endWaiting();
  Clock::duration waited() const;

  const Source source_;
  std::atomic<uint64_t> fetched_{0};
  std::atomic<bool> rivalled_{false};
  std::atomic<bool> outrun_{false};
  mutable std::mutex mutex_;
  Clock::duration waited_{};  // before it waits now
  std::optional<Clock::time_point> waitsSince_;
  std::promise<absl::Status> promise_;
  const std::shared_future<absl::Status> ended_ = promise_.get_future().share();
};

// Those under way, by name. Not thread-safe.
class Flights {
 public:
  // Of one name at once.
  static constexpr size_t kMost = 2;

  bool contains(const std::string& name) const { return flights_.contains(name); }
  // One that is worth waiting for, or one of so many that there may be no more; null when there is
  // none.
  std::shared_ptr<Flight> toWaitFor(const std::string& name, const std::string& registry,
                                    std::chrono::milliseconds patience) const;
  std::shared_ptr<Flight> begin(const std::string& name, Flight::Source source);
  // `done`: those that are under way for the same name and blob need not go on.
  void end(const std::string& name, const std::shared_ptr<Flight>& flight, bool done);

 private:
  std::multimap<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace berth::images
