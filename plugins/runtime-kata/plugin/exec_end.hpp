// Ending what is executed in a container.
#pragma once

#include <absl/status/status.h>

#include "pod.hpp"

namespace berth::kata {

// Kills it when it goes on, which only what may have been started can, and forgets it with its
// streams. Repeating it is fine.
absl::Status endExec(Pod& pod, TaskClient& shim, const Exec& exec, bool mayRun,
                     const CallLimits& limits);

}  // namespace berth::kata
