#include "berth/untar/usage.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>
#include <utility>
#include <vector>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"

namespace berth::untar {
namespace {

using support::errnoStatus;
using support::Fd;
using support::strCat;

constexpr uint64_t kStatBlockBytes = 512;

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// A directory that is being read.
struct Level {
  std::unique_ptr<DIR, DirectoryCloser> stream;  // none while closed to save descriptors
  long position = 0;                             // where it goes on then
  ino_t inode = 0;
  size_t pathSize = 0;  // of the walk's path
};

// A tree may be as deep and as wide as a container likes, and change meanwhile. So what is kept is
// the way to where the walk is, and each step of it goes by a descriptor.
class Walk {
 public:
  Walk(int root, const EntryVisitor& visitor, const std::function<bool()>& cancelled)
      : root_(root), visitor_(visitor), cancelled_(cancelled) {}

  absl::StatusOr<DiskUsage> run() {
    struct stat info = {};
    if (::fstat(root_, &info) != 0) return errnoStatus(errno, "stat the directory to measure");
    device_ = info.st_dev;
    BERTH_RETURN_IF_ERROR(show({path_, root_, ".", info}));
    BERTH_RETURN_IF_ERROR(enter(root_, "."));
    while (!levels_.empty()) BERTH_RETURN_IF_ERROR(step());
    return usage_;
  }

 private:
  absl::Status step() {
    if (++steps_ % kCheckEvery == 0) BERTH_RETURN_IF_ERROR(checkWanted());
    Level& level = levels_.back();
    path_.resize(level.pathSize);
    errno = 0;
    const dirent* entry = ::readdir(level.stream.get());
    if (entry == nullptr) return errno == 0 ? leave() : failure(errno, "list");
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") return absl::OkStatus();
    if (!path_.empty()) path_ += '/';
    path_ += name;
    const int directory = ::dirfd(level.stream.get());
    struct stat info = {};
    if (::fstatat(directory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
      return vanished(errno) ? absl::OkStatus() : failure(errno, "stat");
    if (info.st_dev != device_) return absl::OkStatus();
    BERTH_RETURN_IF_ERROR(show({path_, directory, entry->d_name, info}));
    return S_ISDIR(info.st_mode) ? enter(directory, entry->d_name) : absl::OkStatus();
  }

  absl::Status enter(int directory, const char* name) {
    BERTH_RETURN_IF_ERROR(checkWanted());
    const Fd fd(::openat(directory, name, kDirectoryFlags));
    if (!fd) return vanished(errno) ? absl::OkStatus() : failure(errno, "open");
    struct stat info = {};
    if (::fstat(fd.get(), &info) != 0) return failure(errno, "stat");
    if (info.st_dev != device_) return absl::OkStatus();
    Level level{.inode = info.st_ino, .pathSize = path_.size()};
    BERTH_RETURN_IF_ERROR(read(level, fd));
    levels_.push_back(std::move(level));
    if (levels_.size() <= kOpenLevels) return absl::OkStatus();
    Level& outer = levels_[levels_.size() - 1 - kOpenLevels];
    if (outer.stream) outer.position = ::telldir(outer.stream.get());
    outer.stream.reset();
    return absl::OkStatus();
  }

  absl::Status read(Level& level, const Fd& fd) const {
    Fd own(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (own) level.stream.reset(::fdopendir(own.get()));
    if (!level.stream) return failure(errno, "list");
    (void)own.release();
    return absl::OkStatus();
  }

  // Goes on with the directory above.
  absl::Status leave() {
    const Level left = std::move(levels_.back());
    levels_.pop_back();
    if (levels_.empty() || levels_.back().stream) return absl::OkStatus();
    BERTH_RETURN_IF_ERROR(
        reopen(levels_.back(), Fd(::openat(::dirfd(left.stream.get()), "..", kDirectoryFlags))));
    // Somebody has moved the one that was left. What is not where it was has vanished.
    while (!levels_.empty() && !levels_.back().stream) {
      BERTH_RETURN_IF_ERROR(reopen(levels_.back(), find(levels_.back().pathSize)));
      if (!levels_.back().stream) levels_.pop_back();
    }
    return absl::OkStatus();
  }

  // Where it is the directory that it was.
  absl::Status reopen(Level& level, const Fd& fd) const {
    if (!fd) return vanished(errno) ? absl::OkStatus() : failure(errno, "open again");
    struct stat info = {};
    if (::fstat(fd.get(), &info) != 0) return failure(errno, "stat again");
    if (info.st_dev != device_ || info.st_ino != level.inode) return absl::OkStatus();
    BERTH_RETURN_IF_ERROR(read(level, fd));
    ::seekdir(level.stream.get(), level.position);
    return absl::OkStatus();
  }

  // The directory with so much of the path.
  Fd find(size_t pathSize) const {
    Fd fd(::openat(root_, ".", kDirectoryFlags));
    for (size_t at = 0; fd && at < pathSize;) {
      const size_t end = std::min(path_.find('/', at), pathSize);
      fd.reset(::openat(fd.get(), path_.substr(at, end - at).c_str(), kDirectoryFlags));
      at = end + 1;
    }
    return fd;
  }

  absl::Status checkWanted() const {
    if (!cancelled_ || !cancelled_()) return absl::OkStatus();
    return absl::CancelledError("measuring a tree was cancelled");
  }

  absl::Status show(const FoundEntry& entry) {
    count(entry.info);
    return visitor_ ? visitor_(entry) : absl::OkStatus();
  }

  // ELOOP: it has become a link.
  static bool vanished(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

  absl::Status failure(int error, std::string_view doing) const {
    return errnoStatus(error, strCat(doing, " ", std::string_view(path_).substr(0, PATH_MAX)));
  }

  void count(const struct stat& info) {
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1 && !seen_.insert(info.st_ino).second) return;
    usage_.bytes += static_cast<uint64_t>(info.st_blocks) * kStatBlockBytes;
    usage_.inodes += 1;
  }

  static constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  static constexpr size_t kOpenLevels = 32;
  static constexpr uint64_t kCheckEvery = 256;

  const int root_;
  const EntryVisitor& visitor_;
  const std::function<bool()>& cancelled_;
  dev_t device_ = 0;
  DiskUsage usage_;
  uint64_t steps_ = 0;
  std::unordered_set<ino_t> seen_;
  std::vector<Level> levels_;  // the innermost ones are open
  std::string path_;
};

}  // namespace

absl::StatusOr<DiskUsage> measureTree(int directory, const std::function<bool()>& cancelled) {
  return walkTree(directory, {}, cancelled);
}

absl::StatusOr<DiskUsage> walkTree(int directory, const EntryVisitor& visit,
                                   const std::function<bool()>& cancelled) {
  return Walk(directory, visit, cancelled).run();
}

bool isOfTheHost(std::string_view xattr) {
  return xattr == "security.selinux" || xattr == "security.ima" || xattr == "security.evm";
}

}  // namespace berth::untar
