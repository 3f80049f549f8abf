// Folders of pods and containers that other users of the host have no business in.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "records.pb.h"

namespace berth::engine {

// No other user of the host may pass the folder any more: below it may be programs of an image that
// are set-user-ID, devices that all may open, and files of users whose numbers the host has given
// to others. The root of the pod's user namespace has to, for its runtime looks for mounts as that;
// it passes by its group.
absl::Status closeToOthers(const std::string& path, const records::PodRecord& pod);

}  // namespace berth::engine
