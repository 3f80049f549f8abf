// Which namespaces a pod has, and which of them a container joins.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/types.hpp"

namespace berth::spec {

// Which namespaces are the pod's own; the others are the host's. A PID namespace of its own is
// shared by the pod's containers. A pod on the host's network has the host's name too.
struct PodNamespaces {
  bool network = true;
  bool ipc = true;
  bool uts = true;
  bool pid = false;
  bool user = false;
  std::vector<runtime::v1::IDMapping> uids;  // of the user namespace
  std::vector<runtime::v1::IDMapping> gids;
};

// INVALID_ARGUMENT for user namespaces that the CRI does not allow: any mode but POD and NODE,
// mappings other than exactly one from container ID 0, or the host's PID or IPC namespace beside
// it. Any thread, does not block.
absl::StatusOr<PodNamespaces> podNamespaces(const runtime::v1::PodSandboxConfig& pod);

struct NamespacePlan {
  boost::json::array namespaces;   // linux.namespaces
  boost::json::array uidMappings;  // linux.uidMappings; empty without a user namespace
  boost::json::array gidMappings;
  bool ownUts = false;  // made for this container, so that it needs a hostname
  bool ownCgroup = false;
};

// The namespaces of a container. Those of the pod are joined by path: INTERNAL when one is not
// given. The request must agree with the pod's on user namespaces, and may use the host's PID
// namespace only in a pod that does.
absl::StatusOr<NamespacePlan> containerNamespaces(const ContainerSpecInput& input,
                                                  const PodNamespaces& pod);

}  // namespace berth::spec
