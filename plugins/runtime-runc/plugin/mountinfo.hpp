// What is mounted in this process's mount namespace (proc_pid_mountinfo(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::runc {

struct MountEntry {
  std::string point;
  std::string type;
  std::string options;  // of the file system
};

// The text of a mountinfo file, in its order; lines that make no sense are left out.
std::vector<MountEntry> parseMountinfo(std::string_view text);

}  // namespace berth::runc
