#include "berth/support/files.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "berth/support/ids.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"

namespace berth::support {
namespace {

constexpr std::string_view kTemporary = ".tmp";

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string parentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status writeTemporary(const std::string& path, std::string_view content, mode_t mode,
                            Durability durability) {
  BERTH_ASSIGN_OR_RETURN(Fd file, openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  BERTH_RETURN_IF_ERROR(annotate(writeAll(file.get(), content), strCat("write ", path)));
  // The umask must not decide about the mode that the caller asked for.
  if (::fchmod(file.get(), mode) != 0) return errnoStatus(errno, strCat("set the mode of ", path));
  if (durability == Durability::kDurable && ::fsync(file.get()) != 0)
    return errnoStatus(errno, strCat("sync ", path));
  return absl::OkStatus();
}

absl::Status syncDirectory(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(Fd directory, openFile(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(directory.get()) != 0) return errnoStatus(errno, strCat("sync ", path));
  return absl::OkStatus();
}

absl::Status makeOneDirectory(const std::string& path, mode_t mode) {
  if (steps::mkdir(path.c_str(), mode) == 0) return absl::OkStatus();
  const int error = errno;
  struct stat info = {};
  // Looked at only after a failure: EEXIST, but also EROFS or EACCES where it is there already.
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return absl::OkStatus();
    return errnoStatus(ENOTDIR, strCat("create directory ", path));
  }
  return errnoStatus(error, strCat("create directory ", path));
}

// EAGAIN: something was renamed on the way, and the kernel could not be sure where it was.
Fd openResolved(int directory, const std::string& path, int flags, uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    Fd file(static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how)));
    if (file || (errno != EINTR && errno != EAGAIN)) return file;
  }
}

}  // namespace

absl::StatusOr<Fd> openFile(const std::string& path, int flags, mode_t mode) {
  for (;;) {
    Fd file((flags & O_CREAT) != 0 ? steps::create(path.c_str(), flags | O_CLOEXEC, mode)
                                   : ::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (file) return file;
    if (errno != EINTR) return errnoStatus(errno, strCat("open ", path));
  }
}

absl::StatusOr<Fd> openInRoot(const Fd& root, const std::string& path, int flags,
                              std::string_view what) {
  Fd file = openResolved(root.get(), path, flags, RESOLVE_IN_ROOT);
  if (file) return file;
  // Below a file there is nothing.
  return errnoStatus(errno == ENOTDIR ? ENOENT : errno, strCat("open ", what));
}

absl::StatusOr<Fd> openWithoutLinks(const std::string& path, int flags) {
  Fd file = openResolved(AT_FDCWD, path, flags, RESOLVE_NO_SYMLINKS);
  if (file) return file;
  if (errno == ELOOP)
    return absl::FailedPreconditionError(
        strCat("open ", path, ": a part of it has become a symbolic link"));
  return errnoStatus(errno, strCat("open ", path));
}

absl::StatusOr<std::string> readFile(const std::string& path, size_t limit) {
  BERTH_ASSIGN_OR_RETURN(Fd file, openFile(path, O_RDONLY));
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return errnoStatus(errno, strCat("stat ", path));
  // Files of proc and sys claim sizes of 0 or of a page: the size is only where to begin.
  constexpr size_t kFirst = 4096;
  const size_t expected = S_ISREG(info.st_mode) && info.st_size > 0
                              ? std::min(static_cast<size_t>(info.st_size), limit)
                              : kFirst;
  std::string content;
  size_t used = 0;
  for (;;) {
    if (used == content.size()) content.resize(std::max(expected + 1, used + used / 2));
    const ssize_t count = ::read(file.get(), content.data() + used, content.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoStatus(errno, strCat("read ", path));
    if (count == 0) break;
    used += static_cast<size_t>(count);
    if (used > limit)
      return absl::ResourceExhaustedError(
          strCat("read ", path, ": larger than the limit of ", limit, " bytes"));
  }
  content.resize(used);
  return content;
}

absl::Status writeControlFile(const std::string& path, std::string_view content) {
  BERTH_ASSIGN_OR_RETURN(Fd file, openFile(path, O_WRONLY));
  for (;;) {
    // The kernel takes each write() as one command, so there is no resuming after a short one.
    const ssize_t count = ::write(file.get(), content.data(), content.size());
    if (count >= 0 && static_cast<size_t>(count) == content.size()) return absl::OkStatus();
    if (count < 0 && errno == EINTR) continue;
    const std::string doing = strCat("write \"", content.substr(0, 128), "\" to ", path);
    if (count < 0) return errnoStatus(errno, doing);
    return absl::InternalError(strCat(doing, ": only ", count, " bytes were taken"));
  }
}

absl::Status replaceFile(const std::string& path, std::string_view content, mode_t mode,
                         Durability durability) {
  const size_t slash = path.find_last_of('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..")
    return absl::InvalidArgumentError(strCat("replace \"", path, "\": not the path of a file"));
  const std::string directory = parentOf(path);
  // The name stays short of NAME_MAX however long the file's own name is.
  const std::string temporary =
      strCat(directory, "/.", name.substr(0, 64), ".", randomId().substr(0, 16), kTemporary);

  absl::Status status = writeTemporary(temporary, content, mode, durability);
  if (status.ok() && steps::rename(temporary.c_str(), path.c_str()) != 0)
    status = errnoStatus(errno, strCat("rename ", temporary, " to ", path));
  if (!status.ok()) {
    (void)steps::unlink(temporary.c_str());
    return annotate(status, strCat("replace ", path));
  }
  if (durability == Durability::kDurable) return syncDirectory(directory);
  return absl::OkStatus();
}

absl::Status removeTemporaries(const std::string& directory) {
  const auto names = listDirectory(directory);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(names.status());
  StatusCollector failures;
  for (const std::string& name : *names)
    if (name.starts_with('.') && name.ends_with(kTemporary))
      failures.add(removePath(strCat(directory, "/", name)));
  return failures.status();
}

absl::Status makeDirectories(const std::string& path, mode_t mode) {
  if (path.empty()) return absl::InvalidArgumentError("create directory: the path is empty");
  if (steps::mkdir(path.c_str(), mode) == 0) return absl::OkStatus();
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (path[slash - 1] == '/') continue;
    BERTH_RETURN_IF_ERROR(makeOneDirectory(path.substr(0, slash), mode));
  }
  return makeOneDirectory(path, mode);
}

absl::Status removePath(const std::string& path) {
  if (steps::unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR)
    return absl::OkStatus();
  const int error = errno;
  // POSIX lets unlink() of a directory fail with EPERM; Linux says EISDIR.
  if (error == EISDIR || error == EPERM) {
    if (steps::rmdir(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    if (errno != ENOTDIR) return errnoStatus(errno, strCat("remove directory ", path));
  }
  return errnoStatus(error, strCat("remove ", path));
}

absl::StatusOr<std::vector<std::string>> listDirectory(const std::string& path) {
  std::unique_ptr<DIR, DirectoryCloser> directory(::opendir(path.c_str()));
  if (directory == nullptr) return errnoStatus(errno, strCat("open directory ", path));
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return errnoStatus(errno, strCat("read directory ", path));
  std::sort(names.begin(), names.end());
  return names;
}

bool pathExists(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_EACCESS) == 0;
}

absl::Status writeAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoStatus(errno, strCat("write to descriptor ", fd));
    data.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

}  // namespace berth::support
