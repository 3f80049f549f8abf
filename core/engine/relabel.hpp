// Gives volumes the SELinux label of the container that uses them.
#pragma once

#include <functional>
#include <string>

#include <absl/status/status.h>

namespace berth::engine {

struct Relabelling {
  std::string label;
  // Asked now and then; anything but OK ends the work and is returned.
  std::function<absl::Status()> check = [] { return absl::OkStatus(); };
  const char* attribute = "security.selinux";  // another one is for tests
};

// Labels `path` and all that is below it, other mounts included, `path` itself last: when it has
// the label already, all of it has, and nothing else is looked at. Links are labelled, not
// followed, and nothing that is moved meanwhile leads out of `path`. What is on file systems of the
// kernel, or on those without labels, is left alone; what vanishes meanwhile is no error.
// INVALID_ARGUMENT for directories that hosts themselves need, such as /etc and /usr. Blocks in
// proportion to the number of files; any thread.
absl::Status relabel(const std::string& path, const Relabelling& how);

}  // namespace berth::engine
