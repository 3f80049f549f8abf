// The host's mounts and how they propagate (mount_namespaces(7)).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::spec {

struct MountEntry {
  uint64_t id = 0;
  std::string point;
  bool shared = false;
  bool slave = false;
};

class MountTable {
 public:
  // From the text of proc_pid_mountinfo(5); lines that make no sense are left out.
  static MountTable parse(std::string_view mountInfo);
  // Of this process. Blocks on /proc.
  static absl::StatusOr<MountTable> read();

  // The mount that `path`, absolute and without links, lies on: asked of the kernel where the path
  // exists, else found by its name. Null when there is none. Lives as long as this object.
  const MountEntry* covering(const std::string& path) const;

  // The mount points at `path` and below, the latest mount first: in the order in which they can be
  // unmounted. A point with several mounts stands there as often.
  std::vector<std::string> pointsBelow(const std::string& path) const;

 private:
  std::vector<MountEntry> entries_;
};

}  // namespace berth::spec
