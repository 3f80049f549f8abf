// The connection to a pod's monitor: made anew when it breaks, until the monitor is proven dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "monitor_client.hpp"

namespace berth::runc {

// Told from the client's reader thread or from that of a call; none of the link's locks is held.
// Must not block.
class MonitorListener {
 public:
  // What the monitor has, over a connection that is being made. Events of it may have come before.
  virtual void onListing(const MonitorClient::Listing& listing) = 0;
  virtual void onEvent(const MonitorEvent& event) = 0;
  // A connection broke though nobody ended it: the monitor has died or not. The next call finds
  // out; without one nobody does.
  virtual void onBroken() = 0;
  // Nothing will be heard any more.
  virtual void onDead() = 0;

 protected:
  ~MonitorListener() = default;
};

// A link is connected, or looks for its monitor when it is called, or is dead for good. Only a
// proof makes it dead: the lock of the run folder, which a monitor holds for its life, is free, and
// the process that was connected to last has ended. What cannot be looked at may live.
//
// Thread-safe. Clients that it hands out must go before it does.
class MonitorLink {
 public:
  MonitorLink(std::string pod, std::string runDir, MonitorListener& listener)
      : pod_(std::move(pod)), runDir_(std::move(runDir)), listener_(listener) {}
  ~MonitorLink() { hangUp(); }
  MonitorLink(const MonitorLink&) = delete;
  MonitorLink& operator=(const MonitorLink&) = delete;

  // The connection there is, or a new one; one caller makes it, others wait for that. UNAVAILABLE
  // when the monitor is dead, and only then; any other error says that it may live: CANCELLED,
  // DEADLINE_EXCEEDED, FAILED_PRECONDITION for the monitor of another pod, RESOURCE_EXHAUSTED …
  absl::StatusOr<std::shared_ptr<MonitorClient>> reach(const CallLimits& limits);

  using Call = std::function<absl::Status(MonitorClient&)>;
  // Makes a call, and again over another connection when one breaks, so it must be one that may
  // reach the monitor twice. UNAVAILABLE as above; ABORTED when connections break again and again.
  // `unclear` is set to whether the monitor may have been asked and its answer was not heard.
  absl::Status call(const CallLimits& limits, const Call& call, bool* unclear = nullptr);

  bool isDead() const;

  // Ends the monitor and waits for the end of its process; OK when it is dead. FAILED_PRECONDITION
  // while it has a container.
  absl::Status shutDown(const CallLimits& limits);
  // Lets go of the connection; the monitor goes on.
  void hangUp();
  // Whether one of these has been done or is being done: a break is what is to be expected.
  bool isEnding() const;

 private:
  std::shared_ptr<MonitorClient> current() const;
  absl::Status connect(const CallLimits& limits);
  absl::Status awaitProcessEnd(const CallLimits& limits) const;
  void declareDead();
  absl::Status gone() const;
  void handle(const MonitorEvent& event, uint64_t connection);
  void noteBreak(uint64_t connection);
  void giveUp(const MonitorClient& client);

  const std::string pod_;
  const std::string runDir_;
  MonitorListener& listener_;

  // Whose turn it is to connect. Taken before mutex_.
  std::mutex connecting_;
  // For memory accesses alone.
  mutable std::mutex mutex_;
  bool ending_ = false;
  bool dead_ = false;
  // Connections are numbered: what is heard of the end of an earlier one says nothing.
  uint64_t attempts_ = 0;
  uint64_t connected_ = 0;  // 0: none
  uint64_t broken_ = 0;     // the latest that broke
  std::chrono::steady_clock::time_point connectedAt_{};
  std::shared_ptr<const support::Fd> process_;  // a pidfd
  std::shared_ptr<MonitorClient> client_;
};

}  // namespace berth::runc
