// The table of options of runtime-kata.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::kata {

extern const std::string_view kOptionsDeclaration;

enum class Isolation {
  kVirtualMachine,  // only the network namespace means something; every pid is the VMM's
  kNamespaces,      // containers are processes of this host, as with containerd-shim-runc-v2
};

struct Options {
  std::string shim;
  Isolation isolation = Isolation::kVirtualMachine;
  std::string configPath;
  std::string binary;
  std::string root;
  std::string keeper;
  std::string netnsDirectory;
  std::vector<std::string> podAnnotations;
  int64_t createTimeout = 60;  // seconds
  bool debug = false;

  std::string podLinks() const { return root + "/pods"; }
  std::string sockets() const { return root + "/s"; }
  std::string sandboxRoot() const { return root + "/sandbox"; }
  std::string sharedDirectory() const { return root + "/shared"; }
  // Records that were damaged.
  std::string damaged() const { return root + "/damaged"; }
};

// Errors name their option (berth/plugin.h, "Who is at fault").
absl::StatusOr<Options> parseOptions(std::string_view json, std::string_view defaultRoot);

// The option's program, or the one that is installed with the plugin.
absl::StatusOr<std::string> findKeeper(const std::string& option);
// A path, or a name looked up in PATH and where Kata's own packages put it.
absl::StatusOr<std::string> findShim(const std::string& option);

// Whether an annotation's key is one of `patterns`, which may end with "*".
bool matchesAny(std::string_view key, const std::vector<std::string>& patterns);

}  // namespace berth::kata
