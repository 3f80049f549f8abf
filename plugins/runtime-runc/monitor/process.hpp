// Starting programs, and finding and killing trees of processes.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "streams.hpp"

namespace berth::runc::monitor {

struct Stdio {
  int in = -1;  // borrowed; -1 is /dev/null
  int out = -1;
  int err = -1;
};

// Starts `program`, a path, with the monitor's environment, empty signal mask and default
// dispositions, in a session of its own: a process that it starts and that stays there must not
// share the monitor's process group, to which kill(0, …) would reach out of any PID namespace. It
// dies with the monitor; what it has started does not.
Status spawn(const std::string& program, const std::vector<std::string>& argv, const Stdio& stdio,
             pid_t& pid);

// /dev/null, opened once for both directions.
int nullDevice();

// Kills `root` and all its descendants, and every process among `candidates` that is in `session`
// (descendants whose parents are gone). Stops them first, so that none slips away by forking.
// `root` must be an unreaped child of the caller.
void killTree(pid_t root, pid_t session, const std::vector<pid_t>& candidates);

// Whether a living process or a zombie has the caller among its ancestors.
bool descendsFromSelf(pid_t pid);

}  // namespace berth::runc::monitor
