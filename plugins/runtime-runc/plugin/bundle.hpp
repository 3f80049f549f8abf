// The OCI bundle of a container: what its config.json says to the plugin.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "features.hpp"
#include "records.hpp"

namespace berth::runc {

struct BundleRequest {
  const PodRecord& pod;
  const RuntimeFeatures& runtime;
  std::string_view container;
  std::string_view directory;  // where the bundle lies
  std::string_view spec;
};

struct BundleFacts {
  std::string cgroup;  // a path in every hierarchy
  bool terminal = false;
  uint16_t consoleWidth = 0;
  uint16_t consoleHeight = 0;
  // The document to write in place of the given one; empty when that is fine as it is.
  std::string corrected;
};

// Reads an OCI runtime spec. A missing linux.cgroupsPath, and with cgroupfs a relative one (which
// runtimes take to be below their own cgroup, wherever that is), is put below the pod's cgroup or
// the root. INVALID_ARGUMENT names the member at fault; also what adaptBinds() says. Blocks on the
// file system.
absl::StatusOr<BundleFacts> readBundle(const BundleRequest& request);

}  // namespace berth::runc
