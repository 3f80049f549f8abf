// A path within a mounted image.
#pragma once

#include <string>

#include <absl/status/statusor.h>

namespace berth::volumes {

// Where `subPath`, relative, leads in the tree at `root`, which nobody can change: the path without
// links, `root` in front. Links in the tree are followed as if `root` were "/", so that none leads
// out of it. INVALID_ARGUMENT for a path that is absolute or has "..", NOT_FOUND when there is
// nothing, FAILED_PRECONDITION for something else than a directory or a file. Blocks on the file
// system; any thread.
absl::StatusOr<std::string> resolveSubPath(const std::string& root, const std::string& subPath);

}  // namespace berth::volumes
