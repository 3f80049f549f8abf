#include "merge.hpp"

#include <berth/support/fd.hpp>
#include <berth/support/files.hpp>
#include <berth/support/status.hpp>
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <map>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace reflink {
namespace {

using berth::support::errnoStatus;
using berth::support::Fd;
using berth::support::strCat;

constexpr const char* kOpaque = "trusted.overlay.opaque";
constexpr std::string_view kOverlays = "trusted.overlay.";

absl::Status check(int result, std::string_view doing, const std::string& path) {
  return result >= 0 ? absl::OkStatus() : errnoStatus(errno, strCat(doing, " ", path));
}

bool isWhiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

bool isOpaque(const std::string& path) {
  char value = 0;
  return ::lgetxattr(path.c_str(), kOpaque, &value, 1) == 1 && value == 'y';
}

absl::Status copyAttributes(const std::string& from, const std::string& to,
                            const struct stat& info) {
  // The owner first: a change of it takes set-id bits and capabilities away.
  BERTH_RETURN_IF_ERROR(check(::lchown(to.c_str(), info.st_uid, info.st_gid), "own", to));
  if (!S_ISLNK(info.st_mode))
    BERTH_RETURN_IF_ERROR(check(::chmod(to.c_str(), info.st_mode & 07777), "set the mode of", to));
  std::vector<char> names(64u << 10);
  const ssize_t length = ::llistxattr(from.c_str(), names.data(), names.size());
  for (const char* name = names.data(); length > 0 && name < names.data() + length;
       name += std::string_view(name).size() + 1) {
    if (std::string_view(name).starts_with(kOverlays)) continue;
    std::vector<char> value(64u << 10);
    const ssize_t size = ::lgetxattr(from.c_str(), name, value.data(), value.size());
    if (size < 0) return errnoStatus(errno, strCat("read ", name, " of ", from));
    BERTH_RETURN_IF_ERROR(
        check(::lsetxattr(to.c_str(), name, value.data(), static_cast<size_t>(size), 0), name, to));
  }
  const timespec times[] = {info.st_atim, info.st_mtim};
  return check(::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW), "set the time of",
               to);
}

absl::Status cloneFile(const std::string& from, const std::string& to) {
  BERTH_ASSIGN_OR_RETURN(const Fd source, berth::support::openFile(from, O_RDONLY | O_NOFOLLOW));
  BERTH_ASSIGN_OR_RETURN(const Fd target, berth::support::openFile(
                                              to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (::ioctl(target.get(), FICLONE, source.get()) == 0) return absl::OkStatus();
  for (;;) {
    const ssize_t copied =
        ::copy_file_range(source.get(), nullptr, target.get(), nullptr, size_t{1} << 30, 0);
    if (copied < 0) return errnoStatus(errno, strCat("copy ", from, " to ", to));
    if (copied == 0) return absl::OkStatus();
  }
}

absl::Status copySymlink(const std::string& from, const std::string& to) {
  std::vector<char> link(PATH_MAX);
  const ssize_t length = ::readlink(from.c_str(), link.data(), link.size());
  if (length < 0) return errnoStatus(errno, strCat("read the link ", from));
  const std::string text(link.data(), static_cast<size_t>(length));
  return check(::symlink(text.c_str(), to.c_str()), "make the link", to);
}

class Merger {
 public:
  Merger(Files files, const std::function<absl::Status()>& wanted)
      : files_(files), wanted_(wanted) {}

  absl::Status directory(const std::string& from, const std::string& to) {
    BERTH_RETURN_IF_ERROR(wanted_());
    struct stat info = {};
    BERTH_RETURN_IF_ERROR(check(::lstat(from.c_str(), &info), "look at", from));
    if (isOpaque(from)) BERTH_RETURN_IF_ERROR(berth::support::removeTree(to));
    if (::mkdir(to.c_str(), 0700) != 0 && errno != EEXIST)
      return errnoStatus(errno, strCat("make ", to));
    BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           berth::support::listDirectory(from));
    for (const std::string& name : names)
      BERTH_RETURN_IF_ERROR(entry(strCat(from, "/", name), strCat(to, "/", name)));
    // Last, for the entries have changed the time.
    return copyAttributes(from, to, info);
  }

 private:
  // Parents have been made, so that no part of the way to `to` is a link.
  absl::Status entry(const std::string& from, const std::string& to) {
    struct stat info = {};
    struct stat below = {};
    BERTH_RETURN_IF_ERROR(check(::lstat(from.c_str(), &info), "look at", from));
    const bool exists = ::lstat(to.c_str(), &below) == 0;
    if (S_ISDIR(info.st_mode)) {
      if (exists && !S_ISDIR(below.st_mode)) BERTH_RETURN_IF_ERROR(berth::support::removePath(to));
      return directory(from, to);
    }
    if (exists) BERTH_RETURN_IF_ERROR(berth::support::removeTree(to));
    if (isWhiteout(info)) return absl::OkStatus();
    return file(from, to, info);
  }

  absl::Status file(const std::string& from, const std::string& to, const struct stat& info) {
    if (files_ == Files::kLink && S_ISREG(info.st_mode))
      return check(::link(from.c_str(), to.c_str()), "link", to);
    if (info.st_nlink > 1) {
      const auto [known, first] = links_.emplace(info.st_ino, to);
      if (!first) return check(::link(known->second.c_str(), to.c_str()), "link", to);
    }
    if (S_ISREG(info.st_mode)) {
      BERTH_RETURN_IF_ERROR(cloneFile(from, to));
    } else if (S_ISLNK(info.st_mode)) {
      BERTH_RETURN_IF_ERROR(copySymlink(from, to));
    } else {
      BERTH_RETURN_IF_ERROR(check(::mknod(to.c_str(), info.st_mode, info.st_rdev), "make", to));
    }
    return copyAttributes(from, to, info);
  }

  const Files files_;
  const std::function<absl::Status()>& wanted_;
  std::map<ino_t, std::string> links_;  // where the first of several links is
};

}  // namespace

absl::Status merge(const std::string& layer, const std::string& target, Files files,
                   const std::function<absl::Status()>& wanted) {
  return Merger(files, wanted).directory(layer, target);
}

absl::Status tryClone(const std::string& directory) {
  const Fd source(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const Fd target(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!source || !target) return errnoStatus(errno, strCat("make a file in ", directory));
  if (::ioctl(target.get(), FICLONE, source.get()) == 0) return absl::OkStatus();
  return absl::UnimplementedError(
      strCat("the file system of ", directory, " does not clone files"));
}

}  // namespace reflink
