#include "engine/spec/user_database.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::spec {
namespace {

constexpr size_t kMaximumBytes = 8u << 20;
// No OCI runtime takes more; an entry with such a number is of no use.
constexpr uint32_t kMaximumId = INT32_MAX;

// The file's text; empty when there is none. A hostile image must not lead outside of itself
// (RESOLVE_IN_ROOT), into /proc (no magic links), nor block on a FIFO (O_NONBLOCK).
absl::StatusOr<std::string> readInRoot(const support::Fd& root, const std::string& rootfs,
                                       const std::string& path) {
  const std::string what = support::strCat("/", path, " in the root file system ", rootfs);
  const std::string doing = support::strCat("read ", what);
  const auto file = support::openInRoot(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, what);
  if (absl::IsNotFound(file.status())) return std::string();
  BERTH_RETURN_IF_ERROR(file.status());
  struct stat status {};
  if (::fstat(file->get(), &status) != 0) return support::errnoStatus(errno, doing);
  if (!S_ISREG(status.st_mode))
    return absl::InvalidArgumentError(support::strCat(doing, ": it is not a regular file"));

  std::string text;
  char buffer[16384];
  while (text.size() <= kMaximumBytes) {
    const ssize_t count = ::read(file->get(), buffer, sizeof buffer);
    if (count == 0) return text;
    if (count > 0)
      text.append(buffer, static_cast<size_t>(count));
    else if (errno != EINTR)
      return support::errnoStatus(errno, doing);
  }
  return absl::InvalidArgumentError(
      support::strCat(doing, ": it is larger than ", kMaximumBytes, " bytes"));
}

std::optional<uint32_t> identifier(std::string_view text) {
  const auto value = common::parseNumber<uint32_t>(text);
  return value && *value <= kMaximumId ? value : std::nullopt;
}

template <class Entry>
const Entry* find(const std::vector<Entry>& entries, auto&& matches) {
  const auto found = std::find_if(entries.begin(), entries.end(), matches);
  return found != entries.end() ? &*found : nullptr;
}

}  // namespace

absl::StatusOr<UserDatabase> UserDatabase::open(const std::string& rootfs) {
  BERTH_ASSIGN_OR_RETURN(const support::Fd root,
                         support::openFile(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC));
  BERTH_ASSIGN_OR_RETURN(const std::string passwd, readInRoot(root, rootfs, "etc/passwd"));
  BERTH_ASSIGN_OR_RETURN(const std::string group, readInRoot(root, rootfs, "etc/group"));
  return parse(passwd, group);
}

UserDatabase UserDatabase::parse(std::string_view passwd, std::string_view group) {
  UserDatabase database;
  // passwd(5): name:password:UID:GID:comment:home:shell
  for (std::string_view line : common::split(passwd, '\n')) {
    const std::vector<std::string_view> fields = common::split(line, ':');
    if (fields.size() < 4 || fields[0].empty() || fields[0].starts_with('#')) continue;
    const auto uid = identifier(fields[2]);
    const auto gid = identifier(fields[3]);
    if (uid && gid)
      database.users_.push_back({.name = std::string(fields[0]), .uid = *uid, .gid = *gid});
  }
  // group(5): name:password:GID:member,member
  for (std::string_view line : common::split(group, '\n')) {
    const std::vector<std::string_view> fields = common::split(line, ':');
    if (fields.size() < 3 || fields[0].empty() || fields[0].starts_with('#')) continue;
    const auto gid = identifier(fields[2]);
    if (!gid) continue;
    GroupEntry entry{.name = std::string(fields[0]), .gid = *gid, .members = {}};
    if (fields.size() > 3)
      for (std::string_view member : common::split(fields[3], ','))
        if (member = common::trimmed(member); !member.empty()) entry.members.emplace_back(member);
    database.groups_.push_back(std::move(entry));
  }
  return database;
}

const PasswdEntry* UserDatabase::userNamed(std::string_view name) const {
  return find(users_, [&](const PasswdEntry& entry) { return entry.name == name; });
}

const PasswdEntry* UserDatabase::userWithId(uint32_t uid) const {
  return find(users_, [&](const PasswdEntry& entry) { return entry.uid == uid; });
}

const GroupEntry* UserDatabase::groupNamed(std::string_view name) const {
  return find(groups_, [&](const GroupEntry& entry) { return entry.name == name; });
}

std::vector<uint32_t> UserDatabase::groupsOf(std::string_view name) const {
  std::vector<uint32_t> gids;
  for (const GroupEntry& group : groups_)
    if (std::find(group.members.begin(), group.members.end(), name) != group.members.end())
      gids.push_back(group.gid);
  return gids;
}

}  // namespace berth::spec
