#include "engine/relabel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

using support::Fd;
using support::strCat;

constexpr size_t kFilesBetweenChecks = 256;
constexpr size_t kLongestLabel = 4096;

// With the label of a container they would be lost to the host, or open to every container.
constexpr std::array<std::string_view, 27> kHostDirectories = {
    "/",           "/bin",     "/boot",    "/dev",   "/etc",     "/etc/passwd", "/etc/pki",
    "/etc/shadow", "/home",    "/lib",     "/lib64", "/media",   "/mnt",        "/opt",
    "/proc",       "/root",    "/run",     "/sbin",  "/srv",     "/sys",        "/tmp",
    "/usr",        "/usr/bin", "/usr/lib", "/var",   "/var/lib", "/var/log"};

// Views of the kernel: their labels are its own.
constexpr std::array<uint64_t, 15> kKernelFilesystems = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC,
    SELINUX_MAGIC,    DEBUGFS_MAGIC,  TRACEFS_MAGIC,      BPF_FS_MAGIC,        DEVPTS_SUPER_MAGIC,
    EFIVARFS_MAGIC,   PSTOREFS_MAGIC, BINFMTFS_MAGIC,     NSFS_MAGIC,          AUTOFS_SUPER_MAGIC};

std::string ofDescriptor(int fd) {
  return strCat("/proc/self/fd/", fd);
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

class Labeller {
 public:
  Labeller(std::string path, const Relabelling& how) : path_(std::move(path)), how_(how) {}

  absl::Status run() {
    BERTH_RETURN_IF_ERROR(openRoot());
    if (done_ || hasLabel()) return absl::OkStatus();
    if (S_ISDIR(root_.st_mode)) BERTH_RETURN_IF_ERROR(labelBelow());
    return setLabel(ofDescriptor(fd_.get()), path_, Links::kFollow);
  }

 private:
  enum class Links { kFollow, kLabel };

  absl::Status openRoot() {
    fd_.reset(::open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd_ || ::fstat(fd_.get(), &root_) != 0)
      return support::errnoStatus(errno, strCat("label ", path_));
    if (S_ISLNK(root_.st_mode))
      return absl::FailedPreconditionError(
          strCat("label ", path_, ": it has become a link since it was looked at"));
    done_ = isOfKernel(fd_.get());
    return absl::OkStatus();
  }

  static bool isOfKernel(int fd) {
    struct statfs filesystem {};
    return ::fstatfs(fd, &filesystem) == 0 &&
           std::find(kKernelFilesystems.begin(), kKernelFilesystems.end(),
                     static_cast<uint64_t>(filesystem.f_type)) != kKernelFilesystems.end();
  }

  bool hasLabel() const {
    std::array<char, kLongestLabel> label;
    const ssize_t size =
        ::getxattr(ofDescriptor(fd_.get()).c_str(), how_.attribute, label.data(), label.size());
    if (size < 0) return false;
    std::string_view present(label.data(), static_cast<size_t>(size));
    // The kernel counts the terminating zero.
    while (present.ends_with('\0')) present.remove_suffix(1);
    return present == how_.label;
  }

  // The directories below the root, each by its path from there: however deep they are, two
  // descriptors are open.
  absl::Status labelBelow() {
    pending_ = {"."};
    while (!pending_.empty()) {
      const std::string directory = std::move(pending_.back());
      pending_.pop_back();
      BERTH_RETURN_IF_ERROR(labelDirectory(directory));
    }
    return absl::OkStatus();
  }

  absl::Status labelDirectory(const std::string& relative) {
    const std::string shown = strCat(path_, "/", relative);
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    Fd fd(static_cast<int>(::syscall(SYS_openat2, fd_.get(), relative.c_str(), &how, sizeof how)));
    // Gone, or something else by now.
    if (!fd && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return absl::OkStatus();
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0)
      return support::errnoStatus(errno, strCat("open ", shown));
    if (status.st_dev != root_.st_dev && isOfKernel(fd.get())) return absl::OkStatus();
    if (relative != ".")
      BERTH_RETURN_IF_ERROR(setLabel(ofDescriptor(fd.get()), shown, Links::kFollow));
    const int number = fd.get();
    const std::unique_ptr<DIR, CloseDirectory> entries(::fdopendir(number));
    if (!entries) return support::errnoStatus(errno, strCat("read ", shown));
    static_cast<void>(fd.release());
    return labelEntries(*entries, number, relative);
  }

  absl::Status labelEntries(DIR& entries, int directory, const std::string& relative) {
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(&entries);
      if (entry == nullptr) {
        if (errno == 0) return absl::OkStatus();
        return support::errnoStatus(errno, strCat("read ", path_, "/", relative));
      }
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (isDirectory(directory, *entry)) {
        pending_.push_back(strCat(relative, "/", name));
        continue;
      }
      BERTH_RETURN_IF_ERROR(setLabel(strCat(ofDescriptor(directory), "/", name),
                                     strCat(path_, "/", relative, "/", name), Links::kLabel));
    }
  }

  static bool isDirectory(int directory, const dirent& entry) {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
    struct stat status {};
    return ::fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
  }

  absl::Status setLabel(const std::string& target, const std::string& shown, Links links) {
    if (++files_ % kFilesBetweenChecks == 0) BERTH_RETURN_IF_ERROR(how_.check());
    const auto set = links == Links::kFollow ? &::setxattr : &::lsetxattr;
    if (set(target.c_str(), how_.attribute, how_.label.data(), how_.label.size(), 0) == 0)
      return absl::OkStatus();
    if (errno == ENOENT || errno == ENOTSUP) return absl::OkStatus();
    return support::errnoStatus(errno, strCat("give ", shown, " the label ", how_.label));
  }

  const std::string path_;
  const Relabelling& how_;
  Fd fd_;
  struct stat root_ {};
  bool done_ = false;
  std::vector<std::string> pending_;
  size_t files_ = 0;
};

std::string withoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

absl::Status relabel(const std::string& path, const Relabelling& how) {
  std::string clean = withoutTrailingSlashes(path);
  if (std::find(kHostDirectories.begin(), kHostDirectories.end(), clean) != kHostDirectories.end())
    return absl::InvalidArgumentError(
        strCat("selinux_relabel of ", clean, " is refused: the host itself needs its labels"));
  return Labeller(std::move(clean), how).run();
}

}  // namespace berth::engine
