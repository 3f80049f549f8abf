// Running the OCI runtime binary for what needs no monitor: update, pause, resume, and deleting
// after a monitor's death.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "monitor_client.hpp"
#include "records.hpp"

namespace berth::runc {

// `<binary> --root <root> <args> <command…>` with `input` on its stdin. A failure has the runtime's
// own words. Blocks; any thread.
absl::Status runRuntime(const PodRecord& pod, const std::vector<std::string>& command,
                        std::string_view input, const CallLimits& limits);

// Makes the runtime forget a container whose processes have ended. Success when it never knew it.
absl::Status deleteFromRuntime(const PodRecord& pod, const std::string& container,
                               const CallLimits& limits);

}  // namespace berth::runc
