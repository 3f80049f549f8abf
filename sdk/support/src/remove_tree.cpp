// Removal of directory trees that others may have made, may still be changing, or have nested
// without bound: everything goes through descriptors, no link is followed, and neither the stack
// nor the number of descriptors grows with the depth.
#include "berth/support/remove_tree.hpp"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"

namespace berth::support {
namespace {

// Directories nearer to the root of the tree than the innermost ones are closed and found again
// through "..".
constexpr size_t kOpenLevels = 32;
// A directory that someone keeps filling is given up on after so many passes.
constexpr int kMaximumPasses = 16;
// Names of subdirectories at a time: a directory may have millions.
constexpr size_t kMostListed = 1024;

struct Identity {
  uint64_t mount = 0;
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const Identity&) const = default;
};

struct Level {
  std::string name;
  Fd directory;  // empty while closed to save descriptors
  Identity identity;
  std::vector<std::string> subdirectories;  // still to be removed
  int passes = 0;
};

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

int identify(int fd, Identity& identity) {
  struct statx info = {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &info) != 0) return errno;
  identity.mount = (info.stx_mask & STATX_MNT_ID) != 0 ? info.stx_mnt_id : 0;
  identity.device = (static_cast<uint64_t>(info.stx_dev_major) << 32) | info.stx_dev_minor;
  identity.inode = info.stx_ino;
  return 0;
}

class TreeRemover {
 public:
  // `parent` stands open at the folder that holds `name`; `path` is for messages.
  TreeRemover(std::string path, Fd parent, const std::function<absl::Status()>& beforeEach)
      : path_(std::move(path)), parent_(std::move(parent)), beforeEach_(beforeEach) {}

  absl::Status remove(const std::string& name) {
    if (const int error = identify(parent_.get(), root_); error != 0) return failure(error, "stat");
    BERTH_RETURN_IF_ERROR(enter(parent_.get(), name));
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.subdirectories.empty()) {
        BERTH_RETURN_IF_ERROR(leave());
        continue;
      }
      const std::string next = std::move(level.subdirectories.back());
      level.subdirectories.pop_back();
      BERTH_RETURN_IF_ERROR(enter(level.directory.get(), next));
    }
    return absl::OkStatus();
  }

 private:
  // Goes down into `name`, removes what is no directory in it, and lists what is. A name that is
  // gone or turns out to be no directory is dealt with on the spot.
  absl::Status enter(int above, const std::string& name) {
    Fd directory(::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) {
      if (errno == ENOENT) return absl::OkStatus();
      if (errno != ENOTDIR && errno != ELOOP) return failure(errno, "open", name);
      BERTH_RETURN_IF_ERROR(beforeEach_());
      if (steps::unlinkat(above, name.c_str(), 0, steps::kOfTree) == 0 || errno == ENOENT)
        return absl::OkStatus();
      return failure(errno, "remove", name);
    }
    Level level{.name = name, .directory = std::move(directory)};
    if (const int error = identify(level.directory.get(), level.identity); error != 0)
      return failure(error, "stat", name);
    if (level.identity.mount != root_.mount || level.identity.device != root_.device)
      return absl::FailedPreconditionError(
          strCat("remove ", describe(name), ": it is a mount point; unmount it first"));
    if (levels_.size() >= kOpenLevels) levels_[levels_.size() - kOpenLevels].directory.reset();
    levels_.push_back(std::move(level));
    return empty();
  }

  // Removes the entries of the innermost directory but its subdirectories, which it lists; what is
  // left when there are many is for the next pass.
  absl::Status empty() {
    Level& level = levels_.back();
    ++level.passes;
    // Opened anew: a duplicate would share its position with a stream of an earlier pass.
    Fd again(::openat(level.directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!again) return failure(errno, "open");
    std::unique_ptr<DIR, DirectoryCloser> stream(::fdopendir(again.get()));
    if (stream == nullptr) return failure(errno, "read");
    (void)again.release();
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr) return errno == 0 ? absl::OkStatus() : failure(errno, "read");
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (level.subdirectories.size() == kMostListed) {
        --level.passes;  // the rest is no refill
        return absl::OkStatus();
      }
      if (entry->d_type == DT_DIR) {
        level.subdirectories.emplace_back(name);
        continue;
      }
      BERTH_RETURN_IF_ERROR(beforeEach_());
      if (steps::unlinkat(level.directory.get(), entry->d_name, 0, steps::kOfTree) == 0 ||
          errno == ENOENT)
        continue;
      // File systems that do not fill in d_type.
      if (errno != EISDIR && errno != EPERM) return failure(errno, "remove", std::string(name));
      struct stat info = {};
      const int error = errno;
      if (::fstatat(level.directory.get(), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
          !S_ISDIR(info.st_mode))
        return failure(error, "remove", std::string(name));
      level.subdirectories.emplace_back(name);
    }
  }

  // Removes the innermost directory itself and goes back to the one above.
  absl::Status leave() {
    BERTH_RETURN_IF_ERROR(reopenParent());
    const Level& level = levels_.back();
    const int above =
        levels_.size() > 1 ? levels_[levels_.size() - 2].directory.get() : parent_.get();
    BERTH_RETURN_IF_ERROR(beforeEach_());
    if (steps::unlinkat(above, level.name.c_str(), AT_REMOVEDIR, steps::kOfTree) == 0 ||
        errno == ENOENT) {
      levels_.pop_back();
      return absl::OkStatus();
    }
    const bool refilled = errno == ENOTEMPTY || errno == EEXIST;
    if (refilled && level.passes < kMaximumPasses) return empty();
    return failure(errno, "remove directory");
  }

  absl::Status reopenParent() {
    if (levels_.size() < 2 || levels_[levels_.size() - 2].directory) return absl::OkStatus();
    Level& parent = levels_[levels_.size() - 2];
    Fd directory(::openat(levels_.back().directory.get(), "..",
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return failure(errno, "open the parent of");
    Identity identity;
    if (const int error = identify(directory.get(), identity); error != 0)
      return failure(error, "stat the parent of");
    // Someone moved the directory elsewhere: going on would remove what was never asked for.
    if (identity != parent.identity)
      return absl::AbortedError(
          strCat("remove ", path_, ": a directory in it was moved away meanwhile"));
    parent.directory = std::move(directory);
    return absl::OkStatus();
  }

  std::string describe(std::string_view last = {}) const {
    std::string path = path_;
    for (size_t i = 1; i < levels_.size(); ++i) path += strCat("/", levels_[i].name);
    if (!last.empty() && !levels_.empty()) path += strCat("/", last);
    constexpr size_t kShown = 256;
    if (path.size() <= 2 * kShown) return path;
    return strCat(path.substr(0, kShown), "[...]", path.substr(path.size() - kShown));
  }

  absl::Status failure(int error, std::string_view doing, std::string_view last = {}) const {
    return errnoStatus(error, strCat("remove ", path_, ": ", doing, " ", describe(last)));
  }

  std::string path_;
  Fd parent_;
  const std::function<absl::Status()>& beforeEach_;
  Identity root_;
  std::vector<Level> levels_;
};

}  // namespace

absl::Status removeTree(const std::string& path) {
  return removeTree(path, [] { return absl::OkStatus(); });
}

absl::Status removeTree(const std::string& path, const std::function<absl::Status()>& beforeEach) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const size_t slash = trimmed.find_last_of('/');
  const std::string name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
  if (name.empty() || name == "." || name == "..")
    return absl::InvalidArgumentError(
        strCat("remove tree \"", path, "\": the path must end in a name"));

  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : trimmed.substr(0, slash);
  Fd directory(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    if (errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
    return errnoStatus(errno, strCat("remove ", trimmed, ": open ", parent));
  }
  return TreeRemover(trimmed, std::move(directory), beforeEach).remove(name);
}

}  // namespace berth::support
