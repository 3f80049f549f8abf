// What a device node of a CDI file is on this host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "cdi/document.hpp"

namespace berth::cdi {

struct HostDevice {
  std::string type;  // "b", "c", "u" or "p"
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint32_t> fileMode;
};

// What the file leaves open comes from the host's node. A node that is described in full need not
// exist. INVALID_ARGUMENT when one that has to does not, or is of another type. Blocks on the file
// system; any thread.
absl::StatusOr<HostDevice> resolveDevice(const DeviceNode& node);

}  // namespace berth::cdi
