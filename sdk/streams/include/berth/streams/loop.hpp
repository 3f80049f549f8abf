// The one thread's event loop.
#pragma once

#include <cstdint>
#include <memory>
#include <sys/epoll.h>
#include <vector>

#include "berth/streams/status.hpp"
#include "berth/support/fd.hpp"

namespace berth::streams {

using support::Fd;

class Watcher {
 public:
  virtual void onReady(uint32_t events) = 0;

 protected:
  ~Watcher() = default;
};

class Timer {
 public:
  virtual void onTimer() = 0;
  int64_t due = 0;  // the loop's: CLOCK_MONOTONIC ns; 0 means not armed

 protected:
  ~Timer() = default;
};

// Something that may have to outlive the callback in which it ends.
class Mortal {
 public:
  virtual ~Mortal() = default;
};

class Loop {
 public:
  Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Status open();
  // Level-triggered. False with errno when the kernel refuses (EPERM: a file that is always ready).
  bool add(int fd, uint32_t events, Watcher& watcher);
  void modify(int fd, uint32_t events, Watcher& watcher);
  // Also drops events that were already fetched for this watcher. Call before closing the fd.
  void remove(int fd, Watcher& watcher);

  // One shot; arming again moves it. A timer must be disarmed before it is destroyed.
  void arm(Timer& timer, int64_t afterNs);
  void disarm(Timer& timer);

  // Destroys it after the present round of callbacks.
  void bury(std::unique_ptr<Mortal> mortal);

  // Until stop(); may be called again.
  void run();
  void stop() { stopped_ = true; }

 private:
  int timeoutMs() const;
  void fireTimers();

  static constexpr int kBatch = 16;
  Fd epoll_;
  epoll_event batch_[kBatch] = {};
  int batchSize_ = 0;
  std::vector<Timer*> timers_;
  std::vector<std::unique_ptr<Mortal>> graves_;
  bool stopped_ = false;
};

int64_t monotonicNs();
int64_t realtimeNs();

}  // namespace berth::streams
