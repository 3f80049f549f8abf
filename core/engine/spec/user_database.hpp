// The users and groups of an image: its /etc/passwd and /etc/group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::spec {

// Borrows from its database.
struct PasswdEntry {
  std::string_view name;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// What the two files say, lines that make no sense left out: images are built by all kinds of
// tools, and one bad line is no reason not to start. They are looked through for each question: a
// list of all that a file of a few bytes an entry has would take many times its size.
class UserDatabase {
 public:
  // Reads both below `rootfs`. Links in the image are followed inside it alone; a missing file is
  // an empty one. Something else than a regular file, or one of more than 8 MiB, is
  // INVALID_ARGUMENT. Blocks on the file system; any thread.
  static absl::StatusOr<UserDatabase> open(const std::string& rootfs);
  UserDatabase(std::string passwd, std::string group)
      : passwd_(std::move(passwd)), group_(std::move(group)) {}

  // The first entry counts, as for getpwnam(3).
  std::optional<PasswdEntry> userNamed(std::string_view name) const;
  std::optional<PasswdEntry> userWithId(uint32_t uid) const;
  std::optional<uint32_t> groupNamed(std::string_view name) const;  // its id
  // Of the groups that list the user as a member.
  std::vector<uint32_t> groupsOf(std::string_view name) const;

 private:
  std::string passwd_;
  std::string group_;
};

}  // namespace berth::spec
