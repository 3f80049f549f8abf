// What lists show of the engine's objects.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cri-runtime-v1.pb.h"

namespace berth::engine {

// Each a PodSandbox or a Container, serialized, and shared with all other lists until the object
// changes: the kubelet lists everything each second, and hardly anything has changed since.
using ListItems = std::vector<std::shared_ptr<const std::string>>;

// How many objects lists show in each state.
struct StateCounts {
  std::map<runtime::v1::PodSandboxState, int> pods;
  std::map<runtime::v1::ContainerState, int> containers;
};

}  // namespace berth::engine
