// A program's copy in sealed memory.
#pragma once

#include <mutex>
#include <string>

#include "berth/support/fd.hpp"

namespace berth::runc {

// runc and crun execute a copy of themselves before they enter a container, lest something in it
// writes to the program on the host through /proc (CVE-2019-5736), unless what runs is a memory
// file whose seals rule that out (runc: libcontainer/nsenter/cloned_binary.c, since 1.2
// libcontainer/exeseal; crun: libcrun/cloned_binary.c). One copy for all pods of this process
// spares each container and each exec the making of its own.
class SealedProgram {
 public:
  // Where other processes of this user can open the copy of the program as it is at this moment,
  // while this object lives and the file does not change: a path below /proc. The copy has the
  // file's size and modification time, by which the monitor tells whether it still is the file's.
  // Empty where there is no copy, which costs nothing but time: for a script, which is read
  // again by its interpreter, and where the system has no memory that may be executed.
  // Reads the whole file when it is new. Any thread.
  std::string pathOf(const std::string& program);

 private:
  std::mutex mutex_;
  std::string program_;  // what the copy is of
  support::Fd copy_;
};

}  // namespace berth::runc
