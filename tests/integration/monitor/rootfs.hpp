// A root file system of the host's busybox.
#pragma once

#include <string>

#include <absl/status/status.h>

namespace berth::runc {

absl::Status makeRootfs(const std::string& directory);

}  // namespace berth::runc
