// Folders of a container below which lies what images bring.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "records.pb.h"

namespace berth::engine {

// Makes the folder and those above it. No other user of the host may pass, because programs in it
// may be set-user-ID: only the root of the pod's user namespace must, to whom, and not to the
// host's, such programs then belong.
absl::Status makeImageFolder(const std::string& path, const records::PodRecord& pod);

}  // namespace berth::engine
