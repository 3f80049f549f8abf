// Folders of a container below which lies what images bring.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "records.pb.h"

namespace berth::engine {

// Makes the folder and those above it. No other user of the host may pass it: in it may be programs
// that are set-user-ID, and devices that all may open. The root of the pod's user namespace has to,
// for its runtime looks for mounts as that; it passes by its group.
absl::Status makeImageFolder(const std::string& path, const records::PodRecord& pod);

}  // namespace berth::engine
