#include "common/copy_tree.hpp"

#include <array>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "common/text.hpp"

namespace berth::common {
namespace {

using support::errnoStatus;
using support::Fd;
using support::strCat;
namespace steps = support::steps;

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// What the target's file system has no place for is left out, as cp(1) does.
bool isUnsupported(int error) {
  return error == EOPNOTSUPP || error == ENOSYS;
}

absl::Status copyBytes(int from, int to, off_t begin, off_t end) {
  while (begin < end) {
    off_t target = begin;
    const ssize_t count =
        ::copy_file_range(from, &begin, to, &target, static_cast<size_t>(end - begin), 0);
    if (count > 0) continue;
    if (count == 0) return absl::OkStatus();  // it has become shorter
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && !isUnsupported(errno))
      return errnoStatus(errno, "copy");
    std::array<char, 1 << 16> buffer;
    const size_t wanted = std::min(buffer.size(), static_cast<size_t>(end - begin));
    const ssize_t got = ::pread(from, buffer.data(), wanted, begin);
    if (got < 0) return errnoStatus(errno, "read");
    if (got == 0) return absl::OkStatus();
    for (ssize_t done = 0; done < got;) {
      const ssize_t written = ::pwrite(to, buffer.data() + done, static_cast<size_t>(got - done),
                                       begin + static_cast<off_t>(done));
      if (written < 0) return errnoStatus(errno, "write");
      done += written;
    }
    begin += got;
  }
  return absl::OkStatus();
}

absl::Status copyData(int from, int to, off_t size) {
  off_t position = 0;
  while (position < size) {
    off_t begin = ::lseek(from, position, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // nothing but a hole is left
    off_t end = begin < 0 ? size : ::lseek(from, begin, SEEK_HOLE);
    if (begin < 0) begin = position;  // a file system that knows no holes
    if (end < 0) end = size;
    BERTH_RETURN_IF_ERROR(copyBytes(from, to, begin, std::min(end, size)));
    position = end;
  }
  return ::ftruncate(to, size) == 0 ? absl::OkStatus() : errnoStatus(errno, "set the size");
}

absl::Status copyXattrs(const std::string& from, const std::string& to) {
  std::string names(4096, '\0');
  ssize_t size = ::llistxattr(from.c_str(), names.data(), names.size());
  if (size < 0 && errno == ERANGE) {
    names.resize(XATTR_LIST_MAX);
    size = ::llistxattr(from.c_str(), names.data(), names.size());
  }
  if (size < 0) return isUnsupported(errno) ? absl::OkStatus() : errnoStatus(errno, "list xattrs");
  names.resize(static_cast<size_t>(size));
  std::string value;
  for (const std::string_view part : split(names, '\0')) {
    // The copy gets the label of where it is made, or that of its container.
    if (part.empty() || part == "security.selinux") continue;
    const std::string name(part);
    value.resize(XATTR_SIZE_MAX);
    const ssize_t length = ::lgetxattr(from.c_str(), name.c_str(), value.data(), value.size());
    if (length < 0) return errnoStatus(errno, strCat("read the xattr ", name));
    if (::lsetxattr(to.c_str(), name.c_str(), value.data(), static_cast<size_t>(length), 0) != 0 &&
        !isUnsupported(errno))
      return errnoStatus(errno, strCat("set the xattr ", name));
  }
  return absl::OkStatus();
}

class Copier {
 public:
  Copier(int from, int to, const std::function<absl::Status()>& goOn)
      : from_(from), to_(to), goOn_(goOn) {}

  absl::Status run() {
    // Paths in a list rather than recursion: depth is whatever an image says.
    directories_.emplace_back(".");
    for (size_t i = 0; i < directories_.size(); ++i) {
      const std::string path = directories_[i];
      BERTH_RETURN_IF_ERROR(support::annotate(copyEntries(path), strCat("copy ", path)));
    }
    // From the innermost outwards: making an entry changes its directory's times, and may be
    // forbidden by its mode.
    for (auto path = directories_.rbegin(); path != directories_.rend(); ++path) {
      struct stat info = {};
      if (::fstatat(from_, path->c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errnoStatus(errno, strCat("stat ", *path));
      BERTH_RETURN_IF_ERROR(support::annotate(copyAttributes(*path, info), strCat("copy ", *path)));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status copyEntries(const std::string& directory) {
    Fd fd(::openat(from_, directory.c_str(), kDirectoryFlags));
    if (!fd) return errnoStatus(errno, "open");
    const std::unique_ptr<DIR, DirectoryCloser> stream(::fdopendir(fd.get()));
    if (!stream) return errnoStatus(errno, "list");
    static_cast<void>(fd.release());
    for (;;) {
      errno = 0;
      const dirent* item = ::readdir(stream.get());
      if (item == nullptr) return errno == 0 ? absl::OkStatus() : errnoStatus(errno, "list");
      const std::string_view name = item->d_name;
      if (name == "." || name == "..") continue;
      BERTH_RETURN_IF_ERROR(goOn_());
      BERTH_RETURN_IF_ERROR(copyEntry(strCat(directory, "/", name)));
    }
  }

  absl::Status copyEntry(const std::string& path) {
    struct stat info = {};
    if (::fstatat(from_, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return errnoStatus(errno, strCat("stat ", path));
    if (S_ISDIR(info.st_mode)) {
      if (steps::mkdirat(to_, path.c_str(), 0700, steps::kOfTree) != 0)
        return errnoStatus(errno, strCat("make directory ", path));
      directories_.push_back(path);
      return absl::OkStatus();
    }
    if (info.st_nlink > 1) {
      const auto [known, first] = links_.try_emplace({info.st_dev, info.st_ino}, path);
      if (!first) {
        if (steps::linkat(to_, known->second.c_str(), to_, path.c_str(), steps::kOfTree) == 0)
          return absl::OkStatus();
        return errnoStatus(errno, strCat("link ", path));
      }
    }
    const absl::Status made = S_ISREG(info.st_mode)   ? copyFile(path, info)
                              : S_ISLNK(info.st_mode) ? copyLink(path)
                                                      : copyNode(path, info);
    BERTH_RETURN_IF_ERROR(support::annotate(made, path));
    return support::annotate(copyAttributes(path, info), path);
  }

  absl::Status copyFile(const std::string& path, const struct stat& info) {
    const Fd source(::openat(from_, path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!source) return errnoStatus(errno, "open");
    const Fd target(steps::createat(to_, path.c_str(), O_WRONLY | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                    0600, steps::kOfTree));
    if (!target) return errnoStatus(errno, "create");
    return copyData(source.get(), target.get(), info.st_size);
  }

  absl::Status copyLink(const std::string& path) {
    std::string text(PATH_MAX, '\0');
    const ssize_t size = ::readlinkat(from_, path.c_str(), text.data(), text.size());
    if (size < 0) return errnoStatus(errno, "read the link");
    text.resize(static_cast<size_t>(size));
    if (steps::symlinkat(text.c_str(), to_, path.c_str(), steps::kOfTree) != 0)
      return errnoStatus(errno, "link");
    return absl::OkStatus();
  }

  absl::Status copyNode(const std::string& path, const struct stat& info) {
    if (steps::mknodat(to_, path.c_str(), info.st_mode, info.st_rdev, steps::kOfTree) == 0)
      return absl::OkStatus();
    return errnoStatus(errno, "make the special file");
  }

  absl::Status copyAttributes(const std::string& path, const struct stat& info) {
    // The owner first: a change of it takes set-id bits and capabilities away.
    if (::fchownat(to_, path.c_str(), info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
      return errnoStatus(errno, "set the owner");
    if (!S_ISLNK(info.st_mode) && ::fchmodat(to_, path.c_str(), info.st_mode & 07777, 0) != 0)
      return errnoStatus(errno, "set the mode");
    BERTH_RETURN_IF_ERROR(copyXattrs(pathOf(from_, path), pathOf(to_, path)));
    const std::array<timespec, 2> times = {info.st_atim, info.st_mtim};
    if (::utimensat(to_, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
      return errnoStatus(errno, "set the times");
    return absl::OkStatus();
  }

  // The kernel has no calls for extended attributes of links and devices but those by name.
  static std::string pathOf(int directory, const std::string& path) {
    return strCat("/proc/self/fd/", directory, "/", path);
  }

  const int from_;
  const int to_;
  const std::function<absl::Status()>& goOn_;
  std::vector<std::string> directories_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

absl::Status copyTree(const support::Fd& from, const support::Fd& to,
                      const std::function<absl::Status()>& goOn) {
  return Copier(from.get(), to.get(), goOn).run();
}

}  // namespace berth::common
