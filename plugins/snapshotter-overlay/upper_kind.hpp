// Which file systems the kernel takes for no upper layer, known without trying.
#pragma once

#include <string>

#include <absl/status/status.h>

namespace berth::overlay {

// FAILED_PRECONDITION, with the kind and what to do, when `folder`, or the nearest above it that is
// there, is on a file system of which it is known: network file systems lack whiteouts, and an
// overlay is never taken. Of others only a mount tells (SnapshotStore::probe).
absl::Status refuseAsUpper(std::string folder);

}  // namespace berth::overlay
