// Notices the kernel's OOM kills in a container's cgroup.
#pragma once

#include "cgroup.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

class OomListener {
 public:
  virtual void onOomKills(uint64_t total) = 0;

 protected:
  ~OomListener() = default;
};

// v1: an eventfd on memory.oom_control; v2: memory.events, which the kernel makes pollable
// (EPOLLPRI), so that no inotify instance is used: a host allows few of those.
class OomWatch final : Watcher, Timer {
 public:
  OomWatch(Loop& loop, OomListener& listener) : loop_(loop), listener_(listener) {}
  ~OomWatch() { stop(); }

  // For a cgroup that exists. Without effect where there is nothing to watch.
  void start(const Cgroup& cgroup);
  void stop();

  // Looks at the kernel's counter now; the listener hears of kills that it did not know.
  void check();
  // The same when the container's init has died of this signal (0: of none). systemd removes an
  // empty scope at once: where the counter is gone by now, the parent's tells, which counts the
  // kills of all its children, by what it has risen since both were last read.
  void checkAtExit(int signal);

 private:
  void onReady(uint32_t events) override;
  void onTimer() override;

  Loop& loop_;
  OomListener& listener_;
  protocol::CgroupKind kind_ = protocol::CgroupKind::kNone;
  Fd counter_;
  Fd event_;                   // v1 only
  Fd parent_;                  // v2 only: the parent's counter
  uint64_t parentBefore_ = 0;  // when the cgroup's own was last read
  uint64_t known_ = 0;
  int rechecks_ = 0;
};

}  // namespace berth::runc::monitor
