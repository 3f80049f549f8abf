// What a verbose status tells people (CRI, StatusResponse.info): shown by `crictl info`.
#pragma once

#include <string>

#include <absl/status/status.h>
#include <google/protobuf/map.h>

#include "engine/engine.hpp"

namespace berth::cri {

// Each value is a JSON document. `network` is what the network plugin said of its readiness.
void addStatusInfo(engine::Engine& engine, const absl::Status& network,
                   google::protobuf::Map<std::string, std::string>& info);

}  // namespace berth::cri
