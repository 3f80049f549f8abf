#include "inherit.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <absl/strings/str_split.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "key_locks.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::outsideId;
using support::strCat;

namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr const char* kOpaque = "trusted.overlay.opaque";

bool isOpaque(int directory) {
  char value = 0;
  return ::fgetxattr(directory, kOpaque, &value, 1) == 1 && value == 'y';
}

struct Found {
  Fd directory;         // where the layer has it
  bool hidden = false;  // nothing of it in the layers below counts
};

// Looks a directory up in one layer.
absl::StatusOr<Found> look(const std::string& layer, const std::string& path) {
  Found found;
  BERTH_ASSIGN_OR_RETURN(found.directory, support::openFile(layer, kDirectoryFlags));
  for (const absl::string_view component : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    // An opaque directory hides what the layers below have in it, not its own owner and mode.
    found.hidden = found.hidden || isOpaque(found.directory.get());
    Fd next(::openat(found.directory.get(), std::string(component).c_str(), kDirectoryFlags));
    if (!next) {
      if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return errnoStatus(errno, strCat("open ", layer, "/", path));
      // A whiteout, a file or a link in its place hides it.
      found.hidden = found.hidden || errno != ENOENT;
      found.directory.reset();
      return found;
    }
    found.directory = std::move(next);
  }
  return found;
}

absl::Status copyXattrs(int from, int to, const std::string& path) {
  std::string names(size_t{64} << 10, '\0');
  const ssize_t size = ::flistxattr(from, names.data(), names.size());
  if (size < 0)
    return errno == EOPNOTSUPP ? absl::OkStatus()
                               : errnoStatus(errno, strCat("list the attributes of ", path));
  names.resize(static_cast<size_t>(size));
  for (const absl::string_view item : absl::StrSplit(names, '\0', absl::SkipEmpty())) {
    const std::string name(item);
    if (name.starts_with("trusted.overlay.") || name == "security.selinux") continue;
    std::string value(size_t{64} << 10, '\0');
    const ssize_t length = ::fgetxattr(from, name.c_str(), value.data(), value.size());
    if (length < 0 ||
        ::fsetxattr(to, name.c_str(), value.data(), static_cast<size_t>(length), 0) != 0)
      return errnoStatus(errno, strCat("copy the attribute ", name, " of ", path));
  }
  return absl::OkStatus();
}

class Inheritor {
 public:
  Inheritor(const std::string& upper, const std::vector<LayerView>& layers, const IdRanges& uids,
            const IdRanges& gids, const Op& op)
      : upper_(upper), layers_(layers), uids_(uids), gids_(gids), op_(op) {}

  absl::Status run() {
    BERTH_RETURN_IF_ERROR(copyTo(upper_, ""));
    std::set<std::string> paths;
    for (const LayerView& layer : layers_)
      paths.insert(layer.impliedDirectories.begin(), layer.impliedDirectories.end());
    paths.erase("");
    for (const std::string& path : paths) {
      BERTH_RETURN_IF_ERROR(checkWanted(op_));
      BERTH_ASSIGN_OR_RETURN(const bool wrong, showsImplied(path));
      if (wrong) BERTH_RETURN_IF_ERROR(make(path));
    }
    return absl::OkStatus();
  }

 private:
  static bool isImplied(const LayerView& layer, const std::string& path) {
    return std::binary_search(layer.impliedDirectories.begin(), layer.impliedDirectories.end(),
                              path);
  }

  // The highest layer that describes the directory, or an empty descriptor.
  absl::StatusOr<Fd> describing(const std::string& path) const {
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
      BERTH_ASSIGN_OR_RETURN(Found found, look(layer->path, path));
      if (found.directory && !isImplied(*layer, path)) return std::move(found.directory);
      if (found.hidden) break;
    }
    return Fd();
  }

  // Whether the overlay would show the directory as it was made, though a layer describes it.
  absl::StatusOr<bool> showsImplied(const std::string& path) const {
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
      BERTH_ASSIGN_OR_RETURN(const Found found, look(layer->path, path));
      if (!found.directory && !found.hidden) continue;
      if (!found.directory || !isImplied(*layer, path)) return false;
      BERTH_ASSIGN_OR_RETURN(const Fd other, describing(path));
      return static_cast<bool>(other);
    }
    return false;
  }

  // Makes the directory in the snapshot, and those above it, which would hide theirs.
  absl::Status make(const std::string& path) {
    for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      const std::string target = strCat(upper_, "/", part);
      if (support::steps::mkdir(target.c_str(), 0755) == 0) {
        BERTH_RETURN_IF_ERROR(copyTo(target, part));
      } else if (errno != EEXIST) {
        return errnoStatus(errno, strCat("make directory ", target));
      }
      if (end == std::string::npos) return absl::OkStatus();
    }
  }

  absl::Status copyTo(const std::string& target, const std::string& path) const {
    BERTH_ASSIGN_OR_RETURN(const Fd to, support::openFile(target, kDirectoryFlags));
    BERTH_ASSIGN_OR_RETURN(const Fd from, describing(path));
    struct stat info = {};
    info.st_mode = 0755;
    if (from && ::fstat(from.get(), &info) != 0) return errnoStatus(errno, strCat("stat ", path));
    if (::fchown(to.get(), outsideId(uids_, info.st_uid), outsideId(gids_, info.st_gid)) != 0)
      return errnoStatus(errno, strCat("set the owner of ", target));
    if (::fchmod(to.get(), info.st_mode & 07777) != 0)
      return errnoStatus(errno, strCat("set the mode of ", target));
    if (!from) return absl::OkStatus();
    BERTH_RETURN_IF_ERROR(copyXattrs(from.get(), to.get(), target));
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (::futimens(to.get(), times) != 0)
      return errnoStatus(errno, strCat("set the time of ", target));
    return absl::OkStatus();
  }

  const std::string& upper_;
  const std::vector<LayerView>& layers_;
  const IdRanges& uids_;
  const IdRanges& gids_;
  const Op& op_;
};

}  // namespace

absl::Status inheritDirectories(const std::string& upper, const std::vector<LayerView>& layers,
                                const IdRanges& uids, const IdRanges& gids, const Op& op) {
  return Inheritor(upper, layers, uids, gids, op).run();
}

}  // namespace berth::overlay
