// The file that says how a container ended: written by the monitor before it tells anyone, read by
// the plugin when no monitor is there to ask, and by people.
#pragma once

#include <string>
#include <string_view>

#include "container_messages.hpp"

namespace berth::runc::protocol {

inline constexpr char kExitsFolder[] = "exits";

// Below the run folder.
inline std::string exitRecordName(const std::string& containerId) {
  return std::string(kExitsFolder) + "/" + containerId;
}

// "name=value" lines; unknown names are skipped when it is read.
std::string formatExitRecord(const ContainerStatus& status);
// False when it is not such a record.
bool parseExitRecord(std::string_view text, ContainerStatus& status);

}  // namespace berth::runc::protocol
