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

class Reaper final : Watcher {
 public:
  explicit Reaper(Loop& loop) : loop_(loop) {}

  // Takes SIGCHLD (blocks it) and begins to reap. SIGTERM comes here too: see onTerminate.
  Status open();

  void watch(pid_t pid, ChildWatcher& watcher);
  void forget(pid_t pid);

  // A runtime call is at work, whose orphans may exit before their pid is known: unknown exits are
  // kept until the last such call has ended.
  void beginCall() { ++calls_; }
  void endCall() {
    if (--calls_ == 0) unknown_.clear();
  }

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
  std::vector<ChildExit> unknown_;
  int calls_ = 0;
  bool terminate_ = false;
};

// 0…255, or 128 + signal number.
int exitCodeOf(int status);

}  // namespace berth::runc::monitor
