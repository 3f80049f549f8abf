// Ctrl-C in the middle of a run: calls in flight end, and the clean-up still happens.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace grpc {
class ClientContext;
}

namespace berth::bench {

// Raised once, from any thread; never lowered.
class Interrupt {
 public:
  Interrupt();

  void raise();
  bool raised() const { return raised_.load(); }
  // Readable once raised; borrowed.
  int fd() const { return event_.get(); }
  // OK, or CANCELLED once raised.
  absl::Status status() const;

  // Calls that end with CANCELLED when the interrupt is raised. A context must be taken out again
  // before it goes.
  void watch(grpc::ClientContext* context);
  void forget(grpc::ClientContext* context);

 private:
  std::atomic<bool> raised_ = false;
  support::Fd event_;
  std::mutex mutex_;
  std::set<grpc::ClientContext*> contexts_;  // under mutex_
};

// Turns SIGINT, SIGTERM and SIGHUP into the interrupt. To be made before any other thread, since
// it blocks the signals for all that come after it.
class SignalWatcher {
 public:
  explicit SignalWatcher(Interrupt& interrupt);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  support::Fd signals_;
  support::Fd stop_;
  std::thread thread_;
};

}  // namespace berth::bench
