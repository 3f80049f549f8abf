// The users and groups of an image: its /etc/passwd and /etc/group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::spec {

struct PasswdEntry {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct GroupEntry {
  std::string name;
  uint32_t gid = 0;
  std::vector<std::string> members;
};

// What the two files say, lines that make no sense left out: images are built by all kinds of
// tools, and one bad line is no reason not to start.
class UserDatabase {
 public:
  // Reads both below `rootfs`. Links in the image are followed inside it alone; a missing file is
  // an empty one. Something else than a regular file, or one of more than 8 MiB, is
  // INVALID_ARGUMENT. Blocks on the file system; any thread.
  static absl::StatusOr<UserDatabase> open(const std::string& rootfs);
  static UserDatabase parse(std::string_view passwd, std::string_view group);

  // The first entry counts, as for getpwnam(3). Pointers live as long as this object.
  const PasswdEntry* userNamed(std::string_view name) const;
  const PasswdEntry* userWithId(uint32_t uid) const;
  const GroupEntry* groupNamed(std::string_view name) const;
  // Of the groups that list the user as a member.
  std::vector<uint32_t> groupsOf(std::string_view name) const;

 private:
  std::vector<PasswdEntry> users_;
  std::vector<GroupEntry> groups_;
};

}  // namespace berth::spec
