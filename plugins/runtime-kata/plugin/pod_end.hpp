// Ending pods and what they hold, with the shim's help and without it.
#pragma once

#include <string_view>

#include <absl/status/status.h>

#include "made_cgroups.hpp"
#include "pod.hpp"

namespace berth::kata {

// Ends every process of the pod, its sandbox and its shim. Repeating it is fine. All steps are
// made; when the shim does not do its part in time, it is killed and its program cleans up. OK when
// nothing runs any more. The reason why it must end is told with the exits of containers that ran.
absl::Status endPod(Pod& pod, const CallLimits& limits, std::string_view reason = {});

// The same of a pod of which shim or sandbox have ended.
absl::Status endLostPod(Pod& pod, const CallLimits& limits);

// Forgets a container that has ended, or never ran: its task, streams, mount and record.
absl::Status removeContainer(Pod& pod, const std::shared_ptr<Container>& container,
                             const CallLimits& limits);

// After endPod(): gives back the rest, and last of all the pod's link.
absl::Status releasePod(Pod& pod, MadeCgroups& madeCgroups, const std::string& link,
                        const CallLimits& limits);

// Leftover of what was executed by a daemon that is gone; it is killed.
absl::Status endStrayExecs(Pod& pod, TaskClient& shim, const CallLimits& limits);

}  // namespace berth::kata
