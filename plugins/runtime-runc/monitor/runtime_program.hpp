// What is executed for the OCI runtime.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "../protocol/pod_messages.hpp"
#include "process.hpp"

namespace berth::runc::monitor {

// The program's file, or, unless that has come to hold something else, the daemon's copy of it in
// sealed memory, of which a runtime makes no further copy before it enters a container.
class RuntimeProgram {
 public:
  // A copy that cannot be opened, or is none, costs nothing but time.
  void open(const protocol::StartRequest& request);
  // As monitor::spawn().
  Status spawn(const std::vector<std::string>& argv, const Stdio& stdio, pid_t& pid);

 private:
  bool copyIsCurrent() const;

  std::string path_;
  Fd copy_;
};

}  // namespace berth::runc::monitor
