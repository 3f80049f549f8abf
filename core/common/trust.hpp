// Files and folders that root acts on, and who could change them.
#pragma once

#include <string>

#include <absl/status/status.h>

namespace berth::common {

// FAILED_PRECONDITION and refusal(), with what to do about it, when anybody may change the file, or
// replace what is in the folder. What cannot be looked at is left to who opens it.
absl::Status refuseWritableByAll(const std::string& path);

// The same when others than this process's user, or root's group, may put something into the
// folder. A folder that is not there yet is nobody's.
absl::Status refuseWritableByOthers(const std::string& folder);

}  // namespace berth::common
