// The way out for a pod whose network cannot be detached any more.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "records.pb.h"

namespace berth::engine {

// What was struck off without the network's having released it.
struct AbandonedNetwork {
  std::string pod;      // id
  std::string name;     // "default/web"
  std::string network;  // instance
  std::vector<std::string> addresses;
  std::vector<std::string> hostPorts;  // "8080/TCP", "127.0.0.1:8080/TCP"
  // What has failed of the pod's end since, and is tried again; may be empty.
  std::string unfinished;
};

// As its record has it.
AbandonedNetwork abandonedNetwork(const records::PodRecord& pod);

// OK: the pod is being ended, and nothing but its network is in the way. FAILED_PRECONDITION says
// what is to be done instead. `running`: the id of a container that has not ended; may be empty.
// `detachFailure`: see Pod.
absl::Status checkAbandonable(const records::PodRecord& pod, const std::string& running,
                              const absl::Status& detachFailure);

}  // namespace berth::engine
