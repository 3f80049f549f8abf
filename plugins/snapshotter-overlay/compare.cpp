#include "compare.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unordered_set>

#include "berth/support/fd.hpp"
#include "berth/support/status.hpp"
#include "berth/untar/usage.hpp"
#include "content_list.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

constexpr size_t kReadBytes = 256u << 10;

std::string_view nameOf(char kind) {
  switch (kind) {
    case 'f':
      return "a file";
    case 'd':
      return "a directory";
    case 'l':
      return "a link";
    case 'c':
      return "a character device";
    case 'b':
      return "a block device";
    case 'p':
      return "a pipe";
    default:
      return "a socket";
  }
}

// Whether such an error of the file system says that the layer is not what it was.
bool isMissing(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV;
}
bool isUnreadable(int error) {
  return error == EIO || error == EUCLEAN || error == EBADMSG || error == EOVERFLOW;
}

std::string ownProc(const Fd& fd) {
  return strCat("/proc/self/fd/", fd.get());
}

const char* nameInRoot(const std::string& path) {
  return path.empty() ? "." : path.c_str();
}

class Comparison {
 public:
  Comparison(int root, Depth depth, const Op& op, Differences& differences)
      : root_(root), depth_(depth), op_(op), differences_(differences) {}

  absl::Status run(std::string_view list) {
    for (;;) {
      BERTH_ASSIGN_OR_RETURN(const std::optional<ContentEntry> entry, nextEntry(list));
      if (!entry) break;
      known_.insert(std::hash<std::string>()(entry->path));
      BERTH_RETURN_IF_ERROR(checkWanted());
      BERTH_RETURN_IF_ERROR(compare(*entry));
    }
    return findMore();
  }

 private:
  absl::Status checkWanted() const {
    return op_.cancelled() ? absl::CancelledError("it is no longer wanted") : absl::OkStatus();
  }

  // A difference where the error tells of one.
  absl::Status failed(int error, const std::string& path, std::string_view doing) {
    if (isMissing(error)) {
      differences_.add(path, "is missing");
    } else if (isUnreadable(error)) {
      differences_.add(path, strCat("cannot be read: ", ::strerrordesc_np(error)));
    } else {
      return errnoStatus(error, strCat(doing, " ", path));
    }
    return absl::OkStatus();
  }

  Fd open(const std::string& path) const {
    open_how how = {};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    long fd = -1;
    do {
      fd = ::syscall(SYS_openat2, root_, nameInRoot(path), &how, sizeof how);
      // EAGAIN: a rename anywhere on the host made the walk unsure.
    } while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return Fd(static_cast<int>(fd));
  }

  absl::Status compare(const ContentEntry& wanted) {
    const Fd fd = open(wanted.path);
    if (!fd) return failed(errno, wanted.path, "open");
    struct stat info = {};
    if (::fstat(fd.get(), &info) != 0) return failed(errno, wanted.path, "stat");
    // That no part of the path is a link has just been seen.
    auto found = describeEntry(info, wanted.path,
                               strCat("/proc/self/fd/", root_, "/", nameInRoot(wanted.path)));
    if (!found.ok()) {
      if (!isUnreadable(errno)) return support::annotate(found.status(), wanted.path);
      differences_.add(wanted.path, support::fromAbsl(found.status().message()));
      return absl::OkStatus();
    }
    if (const std::string difference = differenceOf(wanted, *found); !difference.empty()) {
      differences_.add(wanted.path, difference);
      return absl::OkStatus();
    }
    if (wanted.kind == 'l') return compareLink(wanted, fd);
    if (wanted.kind == 'f' && wanted.size > 0 && depth_ == Depth::kThorough)
      return compareFile(wanted, fd);
    return absl::OkStatus();
  }

  static std::string differenceOf(const ContentEntry& wanted, const ContentEntry& found) {
    if (found.kind != wanted.kind)
      return strCat("is ", nameOf(found.kind), " instead of ", nameOf(wanted.kind));
    if (found.size != wanted.size) {
      if (wanted.kind == 'c' || wanted.kind == 'b') return "is another device";
      return strCat("has ", found.size, " bytes instead of ", wanted.size);
    }
    if (found.uid != wanted.uid || found.gid != wanted.gid)
      return strCat("belongs to ", found.uid, ":", found.gid, " instead of ", wanted.uid, ":",
                    wanted.gid);
    if (found.mode != wanted.mode && wanted.kind != 'l') {
      char text[64];
      std::snprintf(text, sizeof text, "has the mode %04o instead of %04o", found.mode,
                    wanted.mode);
      return text;
    }
    if (found.attributes != wanted.attributes) return "has other extended attributes";
    return {};
  }

  absl::Status compareLink(const ContentEntry& wanted, const Fd& link) {
    const absl::StatusOr<uint32_t> sum = linkChecksum(link.get(), "");
    if (!sum.ok()) return failed(errno, wanted.path, "read");
    if (*sum != wanted.content) differences_.add(wanted.path, "leads elsewhere");
    return absl::OkStatus();
  }

  absl::Status compareFile(const ContentEntry& wanted, const Fd& path) {
    const Fd file(::open(ownProc(path).c_str(), O_RDONLY | O_NOATIME | O_CLOEXEC));
    if (!file) return failed(errno, wanted.path, "open");
    // What is in memory may be better, or worse, than what the disk has.
    (void)::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    Crc32c sum;
    const absl::StatusOr<int> error = readAll(file.get(), wanted.size, sum);
    BERTH_RETURN_IF_ERROR(error.status());
    // A node's memory is for those who work.
    (void)::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    if (*error != 0) return failed(*error, wanted.path, "read");
    if (sum.value() != wanted.content)
      differences_.add(wanted.path, "has another content of the same size");
    return absl::OkStatus();
  }

  // The error number of what failed; holes are not read.
  absl::StatusOr<int> readAll(int file, uint64_t size, Crc32c& sum) {
    uint64_t at = 0;
    while (at < size) {
      const off_t data = ::lseek(file, static_cast<off_t>(at), SEEK_DATA);
      if (data < 0 && errno != ENXIO) return errno;
      const uint64_t from = data < 0 ? size : std::min(size, static_cast<uint64_t>(data));
      sum.skip(from - at);
      at = from;
      if (at >= size) break;
      const off_t hole = ::lseek(file, static_cast<off_t>(at), SEEK_HOLE);
      if (hole < 0) return errno;
      const uint64_t until = std::min(size, static_cast<uint64_t>(hole));
      while (at < until) {
        BERTH_RETURN_IF_ERROR(checkWanted());
        const size_t wanted = static_cast<size_t>(std::min<uint64_t>(until - at, buffer_.size()));
        const ssize_t got = ::pread(file, buffer_.data(), wanted, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return EIO;  // it has become shorter
        sum.update({buffer_.data(), static_cast<size_t>(got)});
        at += static_cast<uint64_t>(got);
        done_ += static_cast<uint64_t>(got);
      }
      op_.progress(done_, 0);
    }
    return 0;
  }

  absl::Status findMore() {
    const auto look = [this](const untar::FoundEntry& found) {
      if (!known_.contains(std::hash<std::string>()(found.path)))
        differences_.add(found.path, "is there and was not unpacked");
      return absl::OkStatus();
    };
    const absl::Status walked =
        untar::walkTree(root_, look, [this] { return op_.cancelled(); }).status();
    // A directory that cannot be listed has been met already, by what is to be in it.
    return absl::IsCancelled(walked) || differences_.count() == 0 ? walked : absl::OkStatus();
  }

  const int root_;
  const Depth depth_;
  const Op& op_;
  Differences& differences_;
  std::unordered_set<size_t> known_;  // hashes of the paths in the list
  std::string buffer_ = std::string(kReadBytes, '\0');
  uint64_t done_ = 0;
};

}  // namespace

void Differences::add(std::string_view path, std::string_view detail) {
  if (++count_ <= kNamed) out_.refused(path, detail);
}

void Differences::close() {
  if (count_ > kNamed)
    out_.refused("", strCat(count_ - kNamed, " more of its files are not what they were"));
}

absl::Status compareContent(int root, std::string_view list, Depth depth, const Op& op,
                            Differences& differences) {
  return Comparison(root, depth, op, differences).run(list);
}

}  // namespace berth::overlay
