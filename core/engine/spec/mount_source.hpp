// What lies where mounts come from.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::spec {

struct MountSource {
  std::string path;       // without links
  std::string existing;   // as much of it as there is
  bool dangling = false;  // a link to nowhere
  bool missing() const { return existing != path; }
};

// Of each of these absolute paths. They may lie on storage that does not answer any more: then the
// kernel holds who looks, also after SIGKILL. Therefore it is a thread that shares no descriptor
// with its process, whose locks and sockets are free for the next daemon once this one has ended.
std::vector<absl::StatusOr<MountSource>> lookAtSources(const std::vector<std::string>& paths);

}  // namespace berth::spec
