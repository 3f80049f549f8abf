// Finding, and ending, processes by the locks that they hold.
#pragma once

#include <functional>
#include <sys/stat.h>
#include <sys/types.h>

#include "berth/support/fd.hpp"

namespace berth::support {

// Whether the process has a descriptor through which the file is locked (flock(2)), inherited ones
// included, and not just another one of the same file.
bool holdsLock(pid_t pid, const struct stat& file);

// Kills each process, but this one, of which `is` says so; it is asked while the number cannot
// become another's. Does not wait for their ends.
void killProcesses(const std::function<bool(pid_t)>& is);

}  // namespace berth::support
