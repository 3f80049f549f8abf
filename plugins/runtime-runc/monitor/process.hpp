// Starting programs, and finding and killing trees of processes.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "status.hpp"

namespace berth::runc::monitor {

struct Stdio {
  int in = -1;  // borrowed; -1 is /dev/null
  int out = -1;
  int err = -1;
};

// Starts argv[0] with the monitor's environment, empty signal mask and default dispositions.
Status spawn(const std::vector<std::string>& argv, const Stdio& stdio, pid_t& pid);

// /dev/null, opened once for both directions.
int nullDevice();

// Kills `root` and all its descendants, and every process among `candidates` that is in root's
// session (descendants whose parents are gone). Stops them first, so that none slips away by
// forking. `root` must be an unreaped child of the caller.
void killTree(pid_t root, const std::vector<pid_t>& candidates);

}  // namespace berth::runc::monitor
