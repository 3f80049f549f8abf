// Notices the kernel's OOM kills in a container's cgroup.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "berth/streams/loop.hpp"

namespace berth::streams {

enum class CgroupVersion { kV1, kV2 };

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

  // For the folder of a cgroup that exists; of v1, in the memory hierarchy. Without effect where
  // there is nothing to watch, and while it watches.
  void start(CgroupVersion version, const std::string& directory);
  void stop();
  // Of which the listener has been told.
  uint64_t kills() const { return known_; }

  // The container's init has ended: what the parent counts from here on is another child's. For
  // who hears of it before it is known how.
  void noteExit();
  // Looks at the kernel's counter now; the listener hears of kills that it did not know.
  void check();
  // The same when the container's init has died of this signal (0: of none). systemd removes an
  // empty scope at once: where the counter is gone by now, the parent's tells, which counts the
  // kills of all its children, by what it has risen since both were last read. That is done once:
  // what it counts from here on is another child's.
  void checkAtExit(int signal);

 private:
  void onReady(uint32_t events) override;
  void onTimer() override;
  void openV1(const std::string& directory);
  void openV2(const std::string& directory);
  void dropParent();

  Loop& loop_;
  OomListener& listener_;
  Fd counter_;
  Fd event_;                   // v1 only
  Fd parent_;                  // v2 only: the parent's counter
  uint64_t parentBefore_ = 0;  // when the cgroup's own was last read
  std::optional<uint64_t> parentAtExit_;
  uint64_t known_ = 0;
  int rechecks_ = 0;
};

}  // namespace berth::streams
