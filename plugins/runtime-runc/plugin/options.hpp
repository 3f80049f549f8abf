// The plugin's options and the places that follow from them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::runc {

// berth_plugin.options.
extern const std::string_view kOptionsDeclaration;

struct Options {
  std::string path;            // of the OCI runtime binary
  std::string root;            // the plugin's own folder, on tmpfs
  std::string monitor;         // program berth-monitor
  std::string netnsDirectory;  // where network namespaces are pinned
  std::vector<std::string> args;
  bool noPivot = false;

  // What the runtime binary gets as --root.
  std::string runtimeRoot() const { return root + "/runtime"; }
  // Links from pod ids to the pods' directories: finds a pod of which the host has lost the state.
  std::string podLinks() const { return root + "/pods"; }
  // Whether CRIU works here, as it was found out.
  std::string checkpointCache() const { return root + "/criu.json"; }
  // The cgroups above containers that were not there before.
  std::string ownedCgroups() const { return root + "/cgroups.json"; }
  // Records that were damaged.
  std::string damaged() const { return root + "/damaged"; }
};

// Reads the JSON object of berth_plugin.configure. INVALID_ARGUMENT names the option.
// `defaultRoot` is taken when the option "root" is empty.
absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultRoot);

// Finds berth-monitor beside this plugin when the option is empty. FAILED_PRECONDITION with the
// places looked at.
absl::StatusOr<std::string> findMonitor(const std::string& option);

}  // namespace berth::runc
