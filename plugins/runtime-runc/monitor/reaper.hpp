// The one place that waits for children: those the monitor started and those that came to it as
// the subreaper.
#pragma once

#include <cstdint>
#include <sys/types.h>
#include <vector>

#include "streams.hpp"

namespace berth::runc::monitor {

class ChildWatcher {
 public:
  // `status` as from waitpid(); `at` is when the exit was seen (realtime ns).
  virtual void onChildExit(pid_t pid, int status, int64_t at) = 0;

 protected:
  ~ChildWatcher() = default;
};

struct ChildExit {
  pid_t pid = 0;
  int status = 0;
  int64_t at = 0;
};

// Exits of children that nobody watches, which a runtime call at work may turn out to ask for: each
// is kept until the calls that were at work then have ended.
class UnknownExits {
 public:
  // What endCall() takes.
  using Call = uint64_t;

  Call beginCall();
  void endCall(Call call);
  void add(const ChildExit& exit);
  // The last one with this number; null when there is none.
  const ChildExit* find(pid_t pid) const;
  size_t size() const { return exits_.size(); }

 private:
  std::vector<ChildExit> exits_;
  uint64_t dropped_ = 0;     // exits before those kept
  std::vector<Call> calls_;  // at work: how many exits there had been when each began, ascending
};

class Reaper final : Watcher {
 public:
  explicit Reaper(Loop& loop) : loop_(loop) {}

  // Takes SIGCHLD (blocks it) and begins to reap. SIGTERM comes here too: see onTerminate.
  Status open();

  void watch(pid_t pid, ChildWatcher& watcher);
  void forget(pid_t pid);

  // A runtime call is at work, whose orphans may exit before their pid is known.
  UnknownExits::Call beginCall() { return unknown_.beginCall(); }
  void endCall(UnknownExits::Call call) { unknown_.endCall(call); }

  enum class Adoption {
    kAlive,    // watched from now on; it is a child, or becomes one when its parent ends (crun's
               // `run --detach` returns before the process that is the init's parent)
    kExited,   // `exit` says how
    kForeign,  // gone to somebody else
  };
  // For a pid that a runtime call (not yet ended) has told.
  Adoption adopt(pid_t pid, ChildWatcher& watcher, ChildExit& exit);

  // Set once SIGTERM has come.
  bool terminateRequested() const { return terminate_; }
  // Called after each batch of signals, when set.
  void (*afterSignals)(void* context) = nullptr;
  void* afterSignalsContext = nullptr;

 private:
  struct Watch {
    pid_t pid;
    ChildWatcher* watcher;
  };

  void onReady(uint32_t events) override;
  void reap();

  Loop& loop_;
  Fd signals_;
  std::vector<Watch> watches_;
  UnknownExits unknown_;
  bool terminate_ = false;
};

// 0…255, or 128 + signal number.
int exitCodeOf(int status);

}  // namespace berth::runc::monitor
