// Pods and containers in memory, each with its durable record.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include <absl/status/status.h>

#include "engine/cpu_rate.hpp"
#include "engine/life_step.hpp"
#include "engine/metrics/load_average.hpp"
#include "plugins/operation.hpp"
#include "plugins/registry.hpp"
#include "records.pb.h"
#include "store/store.hpp"

namespace berth::engine {

inline constexpr std::string_view kPodKind = "pod";
inline constexpr std::string_view kContainerKind = "container";

class Pod;
class Container;

// Hears of each step in the lives of the objects that it observes.
class LifeObserver {
 public:
  // Whether it tells anyone; if not, it needs no record of what it has told.
  virtual bool listening() const = 0;
  // The object may have made steps. Called without a lock of the object.
  virtual void onStep(Pod& pod) = 0;
  virtual void onStep(Container& container) = 0;

 protected:
  ~LifeObserver() = default;
};

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
  // What `make(record)` gives, made once for all who ask until the record changes; null unless
  // `matches(record)`. Neither must call back.
  template <class Matches, class Make>
  std::shared_ptr<const std::string> listed(Matches matches, Make make) const {
    std::lock_guard lock(mutex_);
    if (!matches(record_)) return nullptr;
    if (listed_ == nullptr) listed_ = std::make_shared<const std::string>(make(record_));
    return listed_;
  }
  // Changes the record, keeps it durably, wakes who waits in awaitChange, and tells the observer.
  // Not to be called while the engine's maps are locked. Who reads the record meanwhile does not
  // wait for the disk. What is not kept is changed all the same: see keepChanges().
  template <class Change>
  absl::Status change(Change apply) {
    bool stepped = false;
    std::string value;
    uint64_t version = 0;
    {
      std::lock_guard lock(mutex_);
      apply(record_);
      listed_.reset();
      if (const auto step = lifeStep(record_)) {
        if (observer_ == nullptr || !observer_->listening()) {
          record_.set_told(static_cast<int32_t>(*step));
        } else if (!record_.has_told()) {
          record_.set_told(static_cast<int32_t>(announced_.load()));
        }
        stepped = *step > announced_;
      }
      value = record_.SerializeAsString();
      version = ++version_;
      changed_.notify_all();
    }
    absl::Status kept = keep(version, value);
    if (stepped && observer_ != nullptr) tell(*observer_);
    return kept;
  }
  // OK: all changes so far are kept. Waits for those under way, and makes up for what failed.
  absl::Status keepChanges() {
    std::string value;
    uint64_t version = 0;
    {
      std::lock_guard lock(mutex_);
      value = record_.SerializeAsString();
      version = version_;
    }
    return keep(version, value);
  }
  // The object is gone. As long as that is to be told its record stays, marked, until erase().
  absl::Status retire() {
    if (observer_ == nullptr || !observer_->listening() || announced_ == LifeStep::kNone)
      return erase();
    std::string value;
    uint64_t version = 0;
    {
      std::lock_guard lock(mutex_);
      if (!record_.has_told()) record_.set_told(static_cast<int32_t>(announced_.load()));
      record_.set_deleted(true);
      value = record_.SerializeAsString();
      version = ++version_;
    }
    return keep(version, value);
  }
  // Nothing of what changes afterwards is kept.
  absl::Status erase() {
    std::lock_guard lock(keeping_);
    absl::Status status = store_.erase(kind_, id_);
    erased_ = erased_ || status.ok();
    return status;
  }

  // Before the object is shared. The observer goes on from what the record says has been told.
  void observe(LifeObserver& observer) {
    observer_ = &observer;
    const LifeStep now = lifeStep(record_).value_or(LifeStep::kNone);
    announced_ = record_.has_told() ? static_cast<LifeStep>(record_.told()) : now;
  }
  // What the observer has made known; its own to set.
  LifeStep announced() const { return announced_; }
  void setAnnounced(LifeStep step) { announced_ = step; }
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

 protected:
  ~Recorded() = default;

 private:
  virtual void tell(LifeObserver& observer) = 0;
  // Changes come here in any order; each value holds those before it.
  absl::Status keep(uint64_t version, const std::string& value) {
    std::lock_guard lock(keeping_);
    if (erased_ || kept_ >= version) return absl::OkStatus();
    absl::Status status = store_.put(kind_, id_, value);
    if (status.ok()) kept_ = version;
    return status;
  }

  const std::string_view kind_;
  const std::string id_;
  store::Store& store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Record record_;
  mutable std::shared_ptr<const std::string> listed_;
  uint64_t version_ = 0;
  std::mutex keeping_;  // held over the disk, after mutex_ where both are
  uint64_t kept_ = 0;
  bool erased_ = false;
  LifeObserver* observer_ = nullptr;
  std::atomic<LifeStep> announced_ = LifeStep::kNone;
};

// A share of something, which may be let go of while others look. Thread-safe.
template <class T>
class Share {
 public:
  explicit Share(std::shared_ptr<T> held = nullptr) : held_(std::move(held)) {}
  std::shared_ptr<T> get() const {
    std::lock_guard lock(mutex_);
    return held_;
  }
  void set(std::shared_ptr<T> next) {
    std::lock_guard lock(mutex_);
    held_.swap(next);  // the last of it goes without the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<T> held_;
};

class Pod final : public Recorded<records::PodRecord>, public std::enable_shared_from_this<Pod> {
 public:
  Pod(records::PodRecord record, std::shared_ptr<plugins::Runtime> runtime, store::Store& store)
      : Recorded(kPodKind, std::move(record), store), runtime_(std::move(runtime)) {}
  // The form of its runtime that it is on from its beginning to its end. Null once it has stopped,
  // and when its runtime is not there: out of service, or no longer in the configuration.
  std::shared_ptr<plugins::Runtime> runtime() const { return runtime_.get(); }
  void setRuntime(std::shared_ptr<plugins::Runtime> runtime) { runtime_.set(std::move(runtime)); }
  void leaveRuntime() { runtime_.set(nullptr); }
  // The form of the network that it is attached to; null when there is none.
  std::shared_ptr<plugins::Network> network() const { return network_.get(); }
  void setNetwork(std::shared_ptr<plugins::Network> network) { network_.set(std::move(network)); }
  // Its plugin instance, configured or not.
  std::string runtimeName() const {
    return peek([](const records::PodRecord& r) { return r.runtime(); });
  }
  records::PodState state() const {
    return peek([](const records::PodRecord& r) { return r.state(); });
  }

  // Whether clients see it: not before it is whole, with all containers it is restored with.
  bool visible() const {
    return peek([](const records::PodRecord& r) {
      return r.state() != records::POD_CREATING && !r.restoring();
    });
  }

  // Why the runtime has not said yet what became of the pod since the daemon or itself started; OK:
  // it has, or the pod is of this daemon's own making.
  absl::Status reached() const {
    std::lock_guard lock(statusMutex_);
    return reached_;
  }
  void setReached(absl::Status status) {
    std::lock_guard lock(statusMutex_);
    reached_ = std::move(status);
  }

  // Why its network could not be detached when that was last tried; OK: it was not tried since the
  // daemon started, or has succeeded.
  absl::Status detachFailure() const {
    std::lock_guard lock(statusMutex_);
    return detachFailure_;
  }
  void setDetachFailure(absl::Status status) {
    std::lock_guard lock(statusMutex_);
    detachFailure_ = std::move(status);
  }

  // While one lives the pod is being stopped or removed: nothing new is to begin in it.
  class Ending {
   public:
    explicit Ending(Pod& pod) : pod_(pod) { ++pod_.endings_; }
    ~Ending() { --pod_.endings_; }
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;

   private:
    Pod& pod_;
  };
  bool ending() const { return endings_ > 0; }

  // What readings of its usage leave for the next ones.
  CpuRate cpuRate;
  metrics::LoadAverage load;

 private:
  void tell(LifeObserver& observer) override { observer.onStep(*this); }

  Share<plugins::Runtime> runtime_;
  Share<plugins::Network> network_;
  mutable std::mutex statusMutex_;  // the two that follow
  absl::Status reached_;
  absl::Status detachFailure_;
  std::atomic<int> endings_ = 0;
};

class Container final : public Recorded<records::ContainerRecord>,
                        public std::enable_shared_from_this<Container> {
 public:
  Container(records::ContainerRecord record, std::shared_ptr<Pod> pod, store::Store& store)
      : Recorded(kContainerKind, std::move(record), store), pod_(std::move(pod)) {}
  Pod& pod() const { return *pod_; }
  runtime::v1::ContainerState state() const {
    return peek([](const records::ContainerRecord& r) { return r.state(); });
  }

  bool visible() const {
    return !peek([](const records::ContainerRecord& r) { return r.creating(); }) && pod_->visible();
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
  // There was nothing to stop: the time is not to count once it runs.
  void forgetStop() {
    std::lock_guard lock(stopMutex_);
    killAt_ = plugins::Operation::Clock::time_point::max();
  }

  // What readings of its usage leave for the next ones.
  CpuRate cpuRate;
  metrics::LoadAverage load;

 private:
  void tell(LifeObserver& observer) override { observer.onStep(*this); }

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
    if constexpr (requires { object.pod(); }) {
      op.about(object.pod().id(), object.id());
    } else {
      op.about(object.id());
    }
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
