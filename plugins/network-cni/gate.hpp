// Which calls may run beside each other (CNI spec, section 3, "Lifecycle & Ordering").
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

#include <absl/status/statusor.h>

#include "berth/plugin.hpp"

namespace berth::cni {

// Calls about different pods run together, up to a limit; calls about one pod one after the other;
// garbage collection alone. Waiting calls leave with DEADLINE_EXCEEDED or CANCELLED when they are
// over. Any thread.
class Gate {
 public:
  explicit Gate(unsigned limit) : limit_(limit) {}  // 0: none

  // The right to go on, given back on destruction. Must not outlive the gate.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept;
    Pass& operator=(Pass&& other) = delete;
    ~Pass();

   private:
    friend class Gate;
    Pass(Gate* gate, std::string pod) : gate_(gate), pod_(std::move(pod)) {}
    Gate* gate_ = nullptr;
    std::string pod_;  // empty: everything
  };

  absl::StatusOr<Pass> enter(const Op& op, std::string_view pod);
  absl::StatusOr<Pass> enterAlone(const Op& op);

 private:
  // Waits until `ready`, which is called with the lock held.
  template <class Ready>
  absl::Status await(std::unique_lock<std::mutex>& lock, const Op& op, Ready ready);
  void leave(const std::string& pod);

  const unsigned limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string, std::less<>> pods_;  // inside
  unsigned waitingAlone_ = 0;                // they go first, or they might never
  bool alone_ = false;
};

}  // namespace berth::cni
