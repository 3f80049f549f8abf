// Whether a container can stand in for the one that was checkpointed.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <boost/json/object.hpp>

namespace berth::checkpoint {

// Both are OCI runtime specs. The mounts of host files and folders that the checkpointed container
// had must all be there again, and each of `requested` (paths in the container) must have been
// there: mounts cannot come to a process that is restored. FAILED_PRECONDITION names those that are
// wrong, and a terminal that one has and the other has not.
absl::Status checkFits(const boost::json::object& checkpointed, const boost::json::object& now,
                       const std::vector<std::string>& requested);

// What else is to be the same when a pod is restored as it was (CRI, RestorePodRequest
// .container_configs): arguments, working directory, user, and the given variables ("NAME=value").
absl::Status checkSameProcess(const boost::json::object& checkpointed,
                              const boost::json::object& now,
                              const std::vector<std::string>& variables);

}  // namespace berth::checkpoint
