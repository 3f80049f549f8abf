// Pods and containers in memory, each with its durable record.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include <absl/status/status.h>

#include "engine/cpu_rate.hpp"
#include "engine/metrics/load_average.hpp"
#include "plugins/operation.hpp"
#include "plugins/registry.hpp"
#include "records.pb.h"
#include "store/store.hpp"

namespace berth::engine {

inline constexpr std::string_view kPodKind = "pod";
inline constexpr std::string_view kContainerKind = "container";

// An object of which one life cycle operation runs at a time, while its record can be read and
// changed at any moment.
template <class Record>
class Recorded {
 public:
  Recorded(std::string_view kind, Record record, store::Store& store)
      : kind_(kind), id_(record.id()), store_(store), record_(std::move(record)) {}
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

  const std::string& id() const { return id_; }
  Record record() const {
    std::lock_guard lock(mutex_);
    return record_;
  }
  // Reads a part of the record without copying all of it; `read` must not call back.
  template <class Read>
  auto peek(Read read) const {
    std::lock_guard lock(mutex_);
    return read(record_);
  }
  // Changes the record, keeps it durably, and wakes who waits in awaitChange.
  template <class Change>
  absl::Status change(Change apply) {
    std::lock_guard lock(mutex_);
    apply(record_);
    changed_.notify_all();
    return store_.put(kind_, id_, record_.SerializeAsString());
  }
  absl::Status erase() { return store_.erase(kind_, id_); }
  // Waits until `holds(record)`; false when the time came first.
  template <class Condition>
  bool awaitChange(plugins::Operation::Clock::time_point until, Condition holds) {
    std::unique_lock lock(mutex_);
    // wait_until with time_point::max overflows in libstdc++'s clock conversion.
    while (!holds(record_)) {
      const auto now = plugins::Operation::Clock::now();
      if (now >= until) return false;
      changed_.wait_until(lock, std::min(until, now + std::chrono::hours(1)));
    }
    return true;
  }
  void wake() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }

  // Held through a life cycle operation.
  std::timed_mutex serial;

 private:
  const std::string_view kind_;
  const std::string id_;
  store::Store& store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Record record_;
};

class Pod : public Recorded<records::PodRecord> {
 public:
  Pod(records::PodRecord record, plugins::Runtime* runtime, store::Store& store)
      : Recorded(kPodKind, std::move(record), store), runtime_(runtime) {}
  // Null when the configuration no longer has the pod's runtime.
  plugins::Runtime* runtime() const { return runtime_; }
  records::PodState state() const {
    return peek([](const records::PodRecord& r) { return r.state(); });
  }

  // What readings of its usage leave for the next ones.
  CpuRate cpuRate;
  metrics::LoadAverage load;

 private:
  plugins::Runtime* const runtime_;
};

class Container : public Recorded<records::ContainerRecord> {
 public:
  Container(records::ContainerRecord record, std::shared_ptr<Pod> pod, store::Store& store)
      : Recorded(kContainerKind, std::move(record), store), pod_(std::move(pod)) {}
  Pod& pod() const { return *pod_; }
  runtime::v1::ContainerState state() const {
    return peek([](const records::ContainerRecord& r) { return r.state(); });
  }

  // When a stop in progress turns to SIGKILL; a repeated stop may bring it forward. Under its own
  // lock, because the record's is held while waiting.
  void bringStopForward(plugins::Operation::Clock::time_point time) {
    {
      std::lock_guard lock(stopMutex_);
      killAt_ = std::min(killAt_, time);
    }
    wake();
  }
  plugins::Operation::Clock::time_point killAt() const {
    std::lock_guard lock(stopMutex_);
    return killAt_;
  }

  // What readings of its usage leave for the next ones.
  CpuRate cpuRate;
  metrics::LoadAverage load;

 private:
  const std::shared_ptr<Pod> pod_;
  mutable std::mutex stopMutex_;
  plugins::Operation::Clock::time_point killAt_ = plugins::Operation::Clock::time_point::max();
};

// The right to carry out a life cycle operation on an object.
class Turn {
 public:
  // Waits for it; DEADLINE_EXCEEDED or CANCELLED names what is waited for.
  template <class Object>
  static absl::StatusOr<Turn> take(plugins::Operation& op, Object& object) {
    op.setStage("wait for the operation before it");
    for (;;) {
      std::unique_lock lock(object.serial, std::chrono::milliseconds(200));
      if (lock.owns_lock()) return Turn(std::move(lock));
      if (absl::Status status = op.check(); !status.ok()) return status;
    }
  }

 private:
  explicit Turn(std::unique_lock<std::timed_mutex> lock) : lock_(std::move(lock)) {}
  std::unique_lock<std::timed_mutex> lock_;
};

}  // namespace berth::engine
