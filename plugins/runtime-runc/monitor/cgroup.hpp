// A container's cgroup: who is in it, and killing all of them.
#pragma once

#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "../protocol/container_messages.hpp"
#include "streams.hpp"

namespace berth::runc::monitor {

struct Cgroup {
  protocol::CgroupKind kind = protocol::CgroupKind::kNone;
  std::string directory;
};

// Of the cgroup and those below it. Empty when it does not exist.
std::vector<pid_t> cgroupProcesses(const Cgroup& cgroup);

// Sends the signal to each process once. For SIGKILL on v2 the kernel does it (cgroup.kill).
void signalCgroup(const Cgroup& cgroup, int signal);

class LeftoversListener {
 public:
  virtual void onLeftoversGone(Status status) = 0;

 protected:
  ~LeftoversListener() = default;
};

// Kills all that is in a cgroup until it is empty, waiting on pidfds.
class Leftovers final : Timer {
 public:
  Leftovers(Loop& loop, LeftoversListener& listener);
  ~Leftovers();

  // The listener is called from the loop, or before this returns when nothing is there.
  void kill(const Cgroup& cgroup);

 private:
  // One process being waited for.
  class Victim;

  void round();
  void onVictimGone();
  void onTimer() override;
  void finish(Status status);

  Loop& loop_;
  LeftoversListener& listener_;
  Cgroup cgroup_;
  std::vector<std::unique_ptr<Victim>> victims_;
  size_t alive_ = 0;
  int rounds_ = 0;
};

}  // namespace berth::runc::monitor
