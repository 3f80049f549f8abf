// The plugin's options, checked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::cni {

struct Options {
  std::string confDir = "/etc/cni/net.d";
  std::vector<std::string> binDirs = {"/opt/cni/bin", "/usr/lib/cni"};
  std::string cacheDir;
  std::string networkName;      // empty: the first one in the order of the file names
  std::string podCidrTemplate;  // empty: set_pod_cidr does nothing
  unsigned maxConcurrent = 0;   // 0: no limit
  std::string interface = "eth0";
};

// What the plugin declares (berth_plugin.options).
extern const std::string_view kDeclaredOptions;

// `defaultCacheDir` stands for an empty cache_dir. INVALID_ARGUMENT naming the key. Does not look
// at the file system.
absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultCacheDir);

// Whether the kernel would take the name (dev_valid_name in the kernel's net/core/dev.c).
bool isInterfaceName(std::string_view name);

// Letters, digits, "_", "." and "-", the first one a letter or a digit: network names and container
// ids (CNI spec, sections 1 and 2). Such a name is safe as a part of a file name.
bool isIdentifier(std::string_view name);

}  // namespace berth::cni
