// The FIFOs of a pod's processes, which its keeper reads and writes.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "pod.hpp"

namespace berth::kata {

// What the keeper is to open for a container, and for what is executed in one: for that, the FIFOs
// that there are.
keeper::Request openRequest(const Pod& pod, const ContainerRecord& container);
keeper::Request openRequest(const Pod& pod, const std::string& execKey);

// Has the keeper close what it holds of a process, and removes the FIFOs. Repeating it is fine, and
// so is that there is no keeper.
absl::Status forgetStreams(const Pod& pod, const std::string& key, const CallLimits& limits);

}  // namespace berth::kata
