// One long piece of work as the host sees it; the plugins see its berth_op.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"
#include "berth/types.h"
#include "plugins/observer.hpp"

namespace berth::plugins {

// Carries the deadline and the cancellation of a piece of work into plugin calls, and the name of
// the stage it is in out of them. Thread-safe. Must outlive the calls it is passed to.
class Operation {
 public:
  using Clock = std::chrono::steady_clock;

  // `name` is for people: "RunPodSandbox default/web".
  explicit Operation(std::string name, Clock::time_point deadline = Clock::time_point::max());
  ~Operation();
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  const std::string& name() const { return name_; }
  Clock::time_point deadline() const { return deadline_; }
  Clock::time_point begun() const { return begun_; }

  void cancel();
  bool cancelled() const;  // or past the deadline
  // Since when that is so.
  std::optional<Clock::time_point> overSince() const;
  int cancelFd() const { return cancelFd_.get(); }
  // RESOURCE_EXHAUSTED when no descriptor was to be had to wake plugins by: they would notice
  // cancel() only between two waits. For what is to run until it is cancelled that is not enough.
  absl::Status cancellable() const;
  // CANCELLED or DEADLINE_EXCEEDED naming the stage, or OK.
  absl::Status check() const;

  // The stage it is in from now on.
  void setStage(std::string_view stage);
  std::string stage() const;
  // The pod and the container that it is about, as its timeline tells; any number of them.
  void about(const std::string& pod, const std::string& container = {});
  // From now on it lasts for as long as its client wants, which says nothing of how the engine
  // does.
  void becomeSession();
  // What it came to, as its timeline tells.
  void setResult(const absl::Status& status);
  struct Progress {
    uint64_t done = 0;
    uint64_t total = 0;  // 0: not known
  };
  Progress progress() const;
  bool isSession() const;

  const berth_op* op() const { return &op_; }

 private:
  // With the mutex held: the stage that has gone on until now.
  void endStage(Clock::time_point now);
  void tell(Observer& hears);
  static Operation& self(const berth_op* op) { return *static_cast<Operation*>(op->host); }

  const std::string name_;
  const Clock::time_point begun_ = Clock::now();
  const Clock::time_point deadline_;
  support::Fd cancelFd_;
  berth_op op_;
  mutable std::mutex mutex_;  // all that follow
  std::string stage_ = "waiting";
  Progress progress_;
  std::optional<Clock::time_point> cancelled_;  // since when
  bool session_ = false;
  Timeline timeline_;
};

// An operation of this process as it is at a moment.
struct RunningOperation {
  std::string name;
  std::string stage;
  std::chrono::milliseconds age;
  Operation::Progress progress;
  bool session = false;
};

// What it is, of its name: "RunPodSandbox default/web" is a "RunPodSandbox". What the daemon does
// by itself has no such name, and is all "other".
std::string operationKind(const std::string& name);

// All that exist, the oldest first. Thread-safe.
std::vector<RunningOperation> runningOperations();

}  // namespace berth::plugins
