// Files and folders that root acts on, and who could change them.
#pragma once

#include <string>

#include <absl/status/status.h>

namespace berth::common {

// FAILED_PRECONDITION and a refusal(), with what to do about it, when others than root and this
// process's user may change the file, or put something into the folder: by owning it, by its group,
// which may be root's, or as anybody; a sticky folder takes what anybody puts there as well. What
// cannot be looked at is left to who opens it, and what is not there yet is nobody's.
absl::Status refuseWritableByOthers(const std::string& path);

}  // namespace berth::common
