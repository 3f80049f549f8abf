// Bind mounts of containers with a user namespace, told so that crun makes what runc makes of them.
#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "features.hpp"

namespace berth::runc {

// Changes the mounts of an OCI runtime spec whose bundle lies in `directory`, and says whether it
// did. FAILED_PRECONDITION when the runtime would hide what is mounted below a source. Blocks on
// the file system; any thread.
absl::StatusOr<bool> adaptBinds(boost::json::object& document, const std::string& directory,
                                const RuntimeFeatures& runtime);

}  // namespace berth::runc
