// What an OCI runtime binary can do on this host.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

namespace berth::runc {

struct RuntimeFeatures {
  std::string binary;
  std::string name;        // "runc", "crun"
  std::string version;     // "1.1.5+ds1"
  std::string ociVersion;  // the newest it takes
  bool userNamespaces = false;
  bool recursiveReadOnly = false;  // the mount option "rro"
  bool idmappedMounts = false;
  bool recursiveUserBinds = true;  // "rbind" takes along what is below, in user namespaces too
  bool seccomp = false;
  bool apparmor = false;
  bool selinux = false;
  bool checkpoints = false;  // it was built with them; whether CRIU works is another matter
};

// Finds the binary: `path` when it is executable, else its last part in PATH. FAILED_PRECONDITION
// with both places when there is none.
absl::StatusOr<std::string> findBinary(const std::string& path);

// Reads "runc version 1.1.5\n…\nspec: 1.0.2-dev\n…" as `--version` prints it: sets name, version
// and ociVersion, and what such a version is known to have without saying so.
void parseVersion(std::string_view text, RuntimeFeatures& features);

// Reads what `features` prints (OCI runtime spec, "Features Structure").
void parseFeatures(const boost::json::object& document, RuntimeFeatures& features);

// Runs the binary for both. One that knows no `features` command is judged by its version;
// FAILED_PRECONDITION when not even `--version` works. Blocks; takes two short processes.
absl::StatusOr<RuntimeFeatures> probeRuntime(const std::string& binary);

// Whether containers can be checkpointed here. FAILED_PRECONDITION says what is in the way, in the
// words of CRIU when it has been asked: once for a boot and an installed CRIU, the answer being
// kept in the file `cache`. Blocks.
absl::Status probeCheckpoints(const RuntimeFeatures& features, const std::string& cache);

// The document of berth_runtime.features. `checkpoints` is what probeCheckpoints() has said.
std::string describeFeatures(const RuntimeFeatures& features, const absl::Status& checkpoints);

}  // namespace berth::runc
