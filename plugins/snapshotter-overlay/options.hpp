// What the configuration says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::overlay {

enum class Durability {
  kSynced,   // a layer is on the disk before it is visible
  kVisible,  // left to the kernel
};

// How the kernel is told about the layers.
enum class MountApi {
  kAuto,         // by descriptors where the kernel takes them
  kDescriptors,  // Linux 6.13 and newer
  kNames,        // any kernel
};

struct Options {
  std::string root;
  std::vector<std::string> mountOptions;  // further overlay parameters, "key" or "key=value"
  Durability durability = Durability::kSynced;
  bool volatileUpper = true;
  MountApi mountApi = MountApi::kAuto;
  uint64_t maxLayerEntries = 0;
};

// The table as the host checks it (berth_plugin.options).
extern const std::string_view kOptionTable;

// `defaultRoot` stands in for an empty root.
absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultRoot);

}  // namespace berth::overlay
