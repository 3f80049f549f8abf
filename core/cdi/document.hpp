// A CDI specification file (Container Device Interface, SPEC.md), checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "cdi/names.hpp"

namespace berth::cdi {

struct DeviceNode {
  std::string path;      // in the container
  std::string hostPath;  // empty: the same
  std::string type;      // "b", "c", "u" or "p"; empty: as on the host
  std::optional<int64_t> major;
  std::optional<int64_t> minor;
  std::optional<uint32_t> fileMode;
  std::string permissions;  // of "rwm"; empty: all; "none"
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
};

struct Mount {
  std::string hostPath;
  std::string containerPath;
  std::vector<std::string> options;
  std::string type;
};

struct Hook {
  std::string name;  // "createContainer"
  std::string path;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::optional<int32_t> timeout;  // seconds
};

struct NetDevice {
  std::string hostName;
  std::string name;
};

struct IntelRdt {
  std::string closId;
  std::string l3CacheSchema;
  std::string memoryBandwidthSchema;
  std::vector<std::string> schemata;
  bool enableMonitoring = false;
};

struct Edits {
  std::vector<std::string> environment;  // "KEY=value"
  std::vector<DeviceNode> deviceNodes;
  std::vector<NetDevice> netDevices;
  std::vector<Mount> mounts;
  std::vector<Hook> hooks;
  std::vector<uint32_t> additionalGids;
  std::optional<IntelRdt> intelRdt;
};

struct Device {
  std::string name;
  Edits edits;
};

struct Document {
  std::string version;
  std::string kind;  // "vendor.com/class"
  Edits edits;       // of every container that has one of the devices
  std::vector<Device> devices;
};

// From JSON, or YAML, which JSON is a part of. Versions 0.3.0 to 1.1.0. INVALID_ARGUMENT with
// `what` names the member that is wrong, unknown, or of a later version than the file's own. Any
// thread, does not block.
absl::StatusOr<Document> parseDocument(std::string_view text, std::string_view what);

}  // namespace berth::cdi
