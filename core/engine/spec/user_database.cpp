#include "engine/spec/user_database.hpp"

#include <array>
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

// The beginning of an entry: no question is about more.
struct Line {
  std::array<std::string_view, 4> fields;
  size_t count = 0;
};

Line lineOf(std::string_view text) {
  Line line;
  while (line.count < line.fields.size()) {
    const size_t colon = text.find(':');
    line.fields[line.count++] = text.substr(0, colon);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  return line;
}

// Calls `visit` for each line that has a name, until it returns false.
template <class Visit>
void eachLine(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const Line line = lineOf(text.substr(0, end));
    const bool isEntry = !line.fields[0].empty() && !line.fields[0].starts_with('#');
    if (isEntry && !visit(line)) return;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

// passwd(5): name:password:UID:GID:comment:home:shell
template <class Matches>
std::optional<PasswdEntry> findUser(std::string_view passwd, const Matches& matches) {
  std::optional<PasswdEntry> found;
  eachLine(passwd, [&](const Line& line) {
    if (line.count < 4) return true;
    const auto uid = identifier(line.fields[2]);
    const auto gid = identifier(line.fields[3]);
    if (!uid || !gid) return true;
    const PasswdEntry entry{.name = line.fields[0], .uid = *uid, .gid = *gid};
    if (matches(entry)) found = entry;
    return !found;
  });
  return found;
}

// group(5): name:password:GID:member,member
bool hasMember(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    const size_t comma = members.find(',');
    if (common::trimmed(members.substr(0, comma)) == name) return true;
    members.remove_prefix(comma == std::string_view::npos ? members.size() : comma + 1);
  }
  return false;
}

}  // namespace

absl::StatusOr<UserDatabase> UserDatabase::open(const std::string& rootfs) {
  BERTH_ASSIGN_OR_RETURN(const support::Fd root,
                         support::openFile(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC));
  BERTH_ASSIGN_OR_RETURN(std::string passwd, readInRoot(root, rootfs, "etc/passwd"));
  BERTH_ASSIGN_OR_RETURN(std::string group, readInRoot(root, rootfs, "etc/group"));
  return UserDatabase(std::move(passwd), std::move(group));
}

std::optional<PasswdEntry> UserDatabase::userNamed(std::string_view name) const {
  return findUser(passwd_, [&](const PasswdEntry& entry) { return entry.name == name; });
}

std::optional<PasswdEntry> UserDatabase::userWithId(uint32_t uid) const {
  return findUser(passwd_, [&](const PasswdEntry& entry) { return entry.uid == uid; });
}

std::optional<uint32_t> UserDatabase::groupNamed(std::string_view name) const {
  std::optional<uint32_t> gid;
  eachLine(group_, [&](const Line& line) {
    if (line.count > 2 && line.fields[0] == name) gid = identifier(line.fields[2]);
    return !gid;
  });
  return gid;
}

std::vector<uint32_t> UserDatabase::groupsOf(std::string_view name) const {
  std::vector<uint32_t> gids;
  eachLine(group_, [&](const Line& line) {
    const auto gid = line.count > 3 ? identifier(line.fields[2]) : std::nullopt;
    if (gid && hasMember(line.fields[3], name)) gids.push_back(*gid);
    return true;
  });
  return gids;
}

}  // namespace berth::spec
