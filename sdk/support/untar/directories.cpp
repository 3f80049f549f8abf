#include "directories.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attributes.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "berth/untar/tar_reader.hpp"

namespace berth::untar {

using support::errnoStatus;
using support::Fd;
using support::strCat;
namespace steps = support::steps;

namespace {

// Several layers are unpacked at once, and a daemon may have no more than 1,024 descriptors.
constexpr size_t kOpenDirectories = 32;
constexpr int kMaximumLinks = 40;
constexpr mode_t kImpliedMode = 0755;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
// Some sixty thousand directories, as of the largest trees that tools write without them.
constexpr uint64_t kMaximumImpliedBytes = 8u << 20;

uint64_t bytesOf(const std::string& path) {
  return sizeof path + path.size();
}

absl::StatusOr<std::string> readLink(int directory, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (size < 0) return errnoStatus(errno, strCat("read the link ", inQuotes(name)));
  target.resize(static_cast<size_t>(size));
  return target;
}

// Walks a path whose end may be missing, one component at a time, and makes what is missing. The
// tree belongs to the caller alone, so nothing changes between two steps.
class Maker {
 public:
  Maker(int root, Implied& implied) : root_(root), implied_(implied) {}

  absl::StatusOr<Fd> run(const std::string& path) {
    BERTH_RETURN_IF_ERROR(toRoot());
    queue(path);
    while (!pending_.empty()) {
      const std::string component = std::move(pending_.front());
      pending_.pop_front();
      if (component.empty() || component == ".") continue;
      BERTH_RETURN_IF_ERROR(component == ".." ? up() : down(component));
    }
    return std::move(current_);
  }

 private:
  absl::Status toRoot() {
    resolved_.clear();
    current_.reset(::openat(root_, ".", kDirectoryFlags));
    return current_ ? absl::OkStatus() : errnoStatus(errno, "open the layer's root");
  }

  // Puts a path in front of what is still to be walked.
  void queue(std::string_view path) {
    std::vector<std::string> components;
    for (;;) {
      const size_t slash = path.find('/');
      components.emplace_back(path.substr(0, slash));
      if (slash == std::string_view::npos) break;
      path.remove_prefix(slash + 1);
    }
    pending_.insert(pending_.begin(), components.begin(), components.end());
  }

  absl::Status up() {
    if (resolved_.empty()) return absl::OkStatus();
    resolved_.pop_back();
    Fd parent(::openat(current_.get(), "..", kDirectoryFlags));
    if (!parent) return errnoStatus(errno, "open a parent directory");
    current_ = std::move(parent);
    return absl::OkStatus();
  }

  absl::Status down(const std::string& name) {
    Fd next(::openat(current_.get(), name.c_str(), kDirectoryFlags | O_NOFOLLOW));
    if (!next && errno == ENOENT) {
      BERTH_ASSIGN_OR_RETURN(next, make(name));
    } else if (!next) {
      return contentError(errno) ? follow(name)
                                 : errnoStatus(errno, strCat("open directory ", inQuotes(name)));
    }
    resolved_.push_back(name);
    current_ = std::move(next);
    return absl::OkStatus();
  }

  absl::StatusOr<Fd> make(const std::string& name) {
    std::string path;
    for (const std::string& component : resolved_) path += component + "/";
    path += name;
    // Links in the layer could lead deeper and deeper.
    if (path.size() >= PATH_MAX)
      return absl::InvalidArgumentError(
          strCat("directory ", inQuotes(path), " lies deeper than a path can say"));
    if (steps::mkdirat(current_.get(), name.c_str(), kImpliedMode, steps::kOfLayer) != 0)
      return contentFailure(errno, strCat("make directory ", inQuotes(name)));
    Fd made(::openat(current_.get(), name.c_str(), kDirectoryFlags | O_NOFOLLOW));
    struct stat info = {};
    // The umask and a set-group-ID bit of the parent must not show.
    if (!made || ::fchown(made.get(), 0, 0) != 0 || ::fchmod(made.get(), kImpliedMode) != 0 ||
        ::fstat(made.get(), &info) != 0)
      return errnoStatus(errno, strCat("make directory ", inQuotes(name)));
    BERTH_RETURN_IF_ERROR(implied_.add(info.st_ino, std::move(path)));
    return made;
  }

  absl::Status follow(const std::string& name) {
    struct stat info = {};
    if (::fstatat(current_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return contentFailure(errno, strCat("open directory ", inQuotes(name)));
    if (!S_ISLNK(info.st_mode))
      return absl::InvalidArgumentError(
          strCat(inQuotes(name), " in the entry's path is no directory"));
    if (++links_ > kMaximumLinks)
      return absl::InvalidArgumentError("the entry's path runs through too many links");
    BERTH_ASSIGN_OR_RETURN(const std::string target, readLink(current_.get(), name));
    if (target.starts_with('/')) BERTH_RETURN_IF_ERROR(toRoot());
    queue(target);
    return absl::OkStatus();
  }

  const int root_;
  Implied& implied_;
  std::deque<std::string> pending_;
  std::vector<std::string> resolved_;
  Fd current_;
  int links_ = 0;
};

}  // namespace

absl::Status Implied::add(ino_t inode, std::string path) {
  // One that was removed may have left its number.
  erase(inode);
  bytes_ += bytesOf(path);
  if (bytes_ > kMaximumImpliedBytes)
    return absl::ResourceExhaustedError(
        "the layer has too many directories that it does not describe");
  paths_.emplace(inode, std::move(path));
  return absl::OkStatus();
}

void Implied::erase(ino_t inode) {
  const auto found = paths_.find(inode);
  if (found == paths_.end()) return;
  bytes_ -= bytesOf(found->second);
  paths_.erase(found);
}

Fd openInRoot(int root, const std::string& path, int flags) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  const char* name = path.empty() ? "." : path.c_str();
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, root, name, &how, sizeof how);
    // EAGAIN: a rename anywhere on the host made the walk past ".." unsure.
  } while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  return Fd(static_cast<int>(fd));
}

absl::StatusOr<SharedFd> Directories::remember(const std::string& path, Fd directory) {
  // Archives go through a tree in order, so that starting over costs next to nothing.
  if (cache_.size() >= kOpenDirectories) cache_.clear();
  lastPath_ = path;
  last_ = std::make_shared<const Fd>(std::move(directory));
  cache_.insert_or_assign(path, last_);
  return last_;
}

absl::StatusOr<SharedFd> Directories::find(const std::string& path) {
  if (last_ && path == lastPath_) return last_;
  if (const auto known = cache_.find(path); known != cache_.end()) {
    lastPath_ = path;
    last_ = known->second;
    return last_;
  }
  Fd directory = openInRoot(root_, path, O_RDONLY | O_DIRECTORY);
  if (directory) return remember(path, std::move(directory));
  const int error = errno;
  const std::string doing = strCat("open directory ", inQuotes(path));
  if (error == ENOENT) return absl::NotFoundError(strCat(doing, ": it is not in the layer"));
  return contentFailure(error, doing);
}

absl::StatusOr<SharedFd> Directories::open(const std::string& path) {
  absl::StatusOr<SharedFd> found = find(path);
  if (found.ok() || !absl::IsNotFound(found.status())) return found;
  BERTH_ASSIGN_OR_RETURN(Fd made, Maker(root_, implied_).run(path));
  return remember(path, std::move(made));
}

std::vector<std::string> Directories::implied() const {
  std::vector<std::string> paths;
  for (const auto& [inode, path] : implied_.paths()) {
    struct stat info = {};
    const Fd directory = openInRoot(root_, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (directory && ::fstat(directory.get(), &info) == 0 && info.st_ino == inode)
      paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace berth::untar
