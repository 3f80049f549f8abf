#include "engine/operations.hpp"

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/log.hpp"

namespace berth::engine {

using support::strCat;

namespace {

// How long an operation waits for a retry after its caller has given up. The kubelet repeats a
// failed call after its back-off of some ten seconds.
constexpr std::chrono::seconds kGrace{60};
// How often a caller is looked after.
constexpr std::chrono::milliseconds kLook{250};
// Calls for the same that were given up and do not end, which each hold a thread.
constexpr size_t kMostLeft = 8;

std::string ageOf(const plugins::Operation& operation) {
  return strCat(std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::clock::now() -
                                                                      operation.begun())
                    .count());
}

// What a caller hears whose time is over.
absl::Status notDone(const std::string& name, const plugins::Operation& operation,
                     std::string_view fate) {
  return absl::DeadlineExceededError(strCat(name, ": not done after ", ageOf(operation),
                                            " ms; stage: ", operation.stage(), "; ", fate));
}

void logEnd(const plugins::Operation& operation, const absl::Status& status) {
  if (status.ok()) return;
  common::logWarning("failed", {{"operation", operation.name()},
                                {"ms", ageOf(operation)},
                                {"stage", operation.stage()},
                                {"error", status.ToString()}});
}

}  // namespace

Deadline endBefore(Deadline deadline) {
  if (deadline == Deadline::max()) return deadline;
  constexpr std::chrono::seconds kMost{2};
  constexpr int kShare = 5;
  const auto left = deadline - Deadline::clock::now();
  return deadline - std::min<Deadline::duration>(kMost, left / kShare);
}

Deadline withGrace(Deadline deadline) {
  return deadline > Deadline::max() - kGrace ? Deadline::max() : deadline + kGrace;
}

absl::Status Operations::begin(const std::string& key, const std::shared_ptr<Flight>& flight,
                               Work work) {
  return workers_.post([this, key, flight, work = std::move(work)]() mutable {
    absl::StatusOr<std::string> result;
    // Who waits for the result must get one in any case.
    const absl::Status thrown = support::returnThrown([&] {
      result = work(flight->operation);
      return absl::OkStatus();
    });
    if (!thrown.ok()) result = support::annotate(thrown, flight->operation.name());
    work = nullptr;
    flight->operation.setResult(result.status());
    bool heard = false;
    {
      // Gone before the answer, so that who hears it and asks again starts anew.
      std::lock_guard ended(mutex_);
      flights_.erase(key);
      heard = flight->own && !flight->left;
      if (flight->left && --left_[flight->operation.name()] == 0) {
        left_.erase(flight->operation.name());
      }
    }
    if (!heard) logEnd(flight->operation, result.status());
    flight->promise.set_value(std::move(result));
  });
}

absl::StatusOr<std::string> Operations::run(const std::string& key, const std::string& name,
                                            Deadline deadline, Work work) {
  return join(key, name, withGrace(deadline), deadline, std::move(work));
}

absl::StatusOr<std::string> Operations::runUntil(const std::string& key, const std::string& name,
                                                 Deadline end, Deadline deadline, Work work) {
  return join(key, name, end, deadline, std::move(work));
}

absl::StatusOr<std::string> Operations::join(const std::string& key, const std::string& name,
                                             Deadline end, Deadline deadline, Work work) {
  for (;;) {
    std::shared_ptr<Flight> flight;
    bool wasOver = false;
    {
      std::lock_guard lock(mutex_);
      std::shared_ptr<Flight>& slot = flights_[key];
      if (slot == nullptr) {
        if (ending_) {
          flights_.erase(key);
          return absl::UnavailableError(strCat(name, ": the daemon is ending"));
        }
        slot = std::make_shared<Flight>(name, end);
        if (absl::Status begun = begin(key, slot, std::move(work)); !begun.ok()) {
          flights_.erase(key);
          return support::annotate(begun, name);
        }
      } else {
        wasOver = slot->operation.cancelled();
      }
      flight = slot;
    }
    if (deadline != Deadline::max() &&
        flight->result.wait_until(deadline) != std::future_status::ready) {
      return notDone(name, flight->operation,
                     flight->operation.cancelled() ? "it is being undone"
                                                   : "it goes on, and repeating the call joins it");
    }
    absl::StatusOr<std::string> result = flight->result.get();
    // The end of one that was given up before is no answer to this call.
    if (result.ok() || !wasOver) return result;
  }
}

absl::Status Operations::runOwn(const std::string& name, Deadline deadline, Deadline patience,
                                const std::function<bool()>& gone, OwnWork work) {
  const auto flight = std::make_shared<Flight>(name, deadline);
  flight->own = true;
  std::string key;
  {
    std::lock_guard lock(mutex_);
    const auto left = left_.find(name);
    if (left != left_.end() && left->second >= kMostLeft) {
      return absl::ResourceExhaustedError(
          strCat(name, ": ", left->second, " such calls that were given up have not come back ",
                 "from their plugins; `berth ops` lists them"));
    }
    key = strCat("own ", ++lastOwn_);
    flights_[key] = flight;
    const absl::Status begun = begin(key, flight, [work = std::move(work)](plugins::Operation& op) {
      const absl::Status status = work(op);
      return status.ok() ? absl::StatusOr<std::string>("") : status;
    });
    if (!begun.ok()) {
      flights_.erase(key);
      return support::annotate(begun, name);
    }
  }
  Deadline until =
      deadline > Deadline::max() - endTime_ ? patience : std::min(patience, deadline + endTime_);
  for (bool left = false; Deadline::clock::now() < until;) {
    const Deadline look = std::min(until, Deadline::clock::now() + kLook);
    if (flight->result.wait_until(look) == std::future_status::ready)
      return flight->result.get().status();
    if (left || !gone()) continue;
    left = true;
    flight->operation.cancel();
    until = std::min(until, Deadline::clock::now() + endTime_);
  }
  {
    std::lock_guard lock(mutex_);
    // It may have ended at this moment.
    if (flights_.contains(key)) {
      flight->left = true;
      ++left_[name];
    }
  }
  flight->operation.cancel();
  return notDone(name, flight->operation, "it has been told to end");
}

void Operations::cancelAll() {
  std::lock_guard lock(mutex_);
  ending_ = true;
  for (const auto& [key, flight] : flights_) flight->operation.cancel();
}

void Operations::cancel(std::string_view prefix) {
  std::lock_guard lock(mutex_);
  for (auto at = flights_.lower_bound(std::string(prefix));
       at != flights_.end() && at->first.starts_with(prefix); ++at) {
    at->second->operation.cancel();
  }
}

}  // namespace berth::engine
