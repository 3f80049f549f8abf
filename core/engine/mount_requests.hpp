// What is to be mounted for a container.
#pragma once

#include <string>
#include <vector>

#include "cri-runtime-v1.pb.h"
#include "records.pb.h"

namespace berth::engine {

// A container's request with its mounts made possible.
struct Volumes {
  runtime::v1::ContainerConfig config;    // image mounts have a host_path
  std::vector<runtime::v1::Mount> extra;  // of the image
};

struct SnapshotRequest {
  std::string key;
  const google::protobuf::RepeatedPtrField<records::LayerRecord>& layers;
  std::string target;
  bool readOnly = false;
  std::string selinuxLabel;
};

}  // namespace berth::engine
