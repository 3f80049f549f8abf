#include "berth/untar/usage.hpp"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unordered_set>
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

class Walk {
 public:
  Walk(int root, const EntryVisitor& visitor, const std::function<bool()>& cancelled)
      : root_(root), visitor_(visitor), cancelled_(cancelled) {}

  absl::StatusOr<DiskUsage> run() {
    struct stat info = {};
    if (::fstat(root_, &info) != 0) return errnoStatus(errno, "stat the directory to measure");
    device_ = info.st_dev;
    BERTH_RETURN_IF_ERROR(show({"", root_, ".", info}));
    // Paths in a queue rather than recursion: depth is whatever an image says.
    pending_.emplace_back();
    while (!pending_.empty()) {
      const std::string path = std::move(pending_.back());
      pending_.pop_back();
      if (cancelled_ && cancelled_()) return absl::CancelledError("measuring a tree was cancelled");
      BERTH_RETURN_IF_ERROR(visit(path));
    }
    return usage_;
  }

 private:
  absl::Status visit(const std::string& path) {
    const char* here = path.empty() ? "." : path.c_str();
    Fd fd(::openat(root_, here, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return vanished(errno) ? absl::OkStatus() : errnoStatus(errno, "open " + path);
    std::unique_ptr<DIR, DirectoryCloser> stream(::fdopendir(fd.get()));
    if (!stream) return errnoStatus(errno, "list " + path);
    const int directory = fd.release();
    for (;;) {
      errno = 0;
      const dirent* item = ::readdir(stream.get());
      if (item == nullptr)
        return errno == 0 ? absl::OkStatus() : errnoStatus(errno, "list " + path);
      const std::string name = item->d_name;
      if (name == "." || name == "..") continue;
      struct stat info = {};
      if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (vanished(errno)) continue;
        return errnoStatus(errno, strCat("stat ", path, "/", name));
      }
      if (info.st_dev != device_) continue;
      const std::string full = path.empty() ? name : strCat(path, "/", name);
      BERTH_RETURN_IF_ERROR(show({full, directory, name.c_str(), info}));
      if (S_ISDIR(info.st_mode)) pending_.push_back(full);
    }
  }

  absl::Status show(const FoundEntry& entry) {
    count(entry.info);
    return visitor_ ? visitor_(entry) : absl::OkStatus();
  }

  static bool vanished(int error) { return error == ENOENT || error == ENOTDIR; }

  void count(const struct stat& info) {
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1 && !seen_.insert(info.st_ino).second) return;
    usage_.bytes += static_cast<uint64_t>(info.st_blocks) * kStatBlockBytes;
    usage_.inodes += 1;
  }

  const int root_;
  const EntryVisitor& visitor_;
  const std::function<bool()>& cancelled_;
  dev_t device_ = 0;
  DiskUsage usage_;
  std::unordered_set<ino_t> seen_;
  std::vector<std::string> pending_;
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
