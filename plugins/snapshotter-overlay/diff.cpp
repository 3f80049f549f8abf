#include "diff.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <map>
#include <optional>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <climits>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::IdRanges;
using support::strCat;
using untar::DataRange;
using untar::Entry;
using untar::EntryType;

namespace {

constexpr const char* kOpaque = "trusted.overlay.opaque";
constexpr const char* kRedirect = "trusted.overlay.redirect";
constexpr uint64_t kPiece = 256u << 10;
// Beyond these a file is written with its holes: readers bound the maps that they take.
constexpr size_t kMostParts = 4096;

// Opens below a layer's directory without following anything out of it.
Fd openBelow(const Fd& root, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return Fd(static_cast<int>(
      ::syscall(SYS_openat2, root.get(), path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

bool isWhiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == 0;
}

bool isOpaque(const Fd& directory) {
  char value = 0;
  return ::fgetxattr(directory.get(), kOpaque, &value, 1) == 1 && value == 'y';
}

absl::StatusOr<std::vector<std::string>> namesIn(const Fd& directory, const std::string& path) {
  auto names = support::listDirectory(strCat("/proc/self/fd/", directory.get()));
  if (!names.ok()) return support::annotate(names.status(), strCat("list ", path));
  return names;
}

std::string join(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : strCat(directory, "/", name);
}

uint64_t insideId(const IdRanges& ranges, uint32_t outside) {
  for (const support::IdRange& range : ranges) {
    if (outside >= range.outside && outside - range.outside < range.length) {
      return range.inside + (outside - range.outside);
    }
  }
  return outside;
}

// The host's policy and the mount's own notes are no part of the content.
bool isKept(std::string_view name) {
  return !name.starts_with("trusted.overlay.") && name != "security.selinux";
}

// A link at `path` itself is not followed.
absl::Status readXattrs(const std::string& path, Entry& entry) {
  std::string names(64u << 10, '\0');
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    return errno == EOPNOTSUPP ? absl::OkStatus()
                               : errnoStatus(errno, strCat("list the attributes of ", entry.name));
  }
  names.resize(static_cast<size_t>(length));
  for (size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (!isKept(name)) continue;
    std::string value(64u << 10, '\0');
    const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0) {
      if (errno == ENODATA) continue;
      return errnoStatus(errno, strCat("read the attribute ", name, " of ", entry.name));
    }
    value.resize(static_cast<size_t>(size));
    entry.xattrs.push_back({name, std::move(value)});
  }
  std::sort(entry.xattrs.begin(), entry.xattrs.end(),
            [](const untar::Xattr& a, const untar::Xattr& b) { return a.name < b.name; });
  return absl::OkStatus();
}

std::optional<EntryType> typeOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return EntryType::kRegular;
    case S_IFDIR:
      return EntryType::kDirectory;
    case S_IFLNK:
      return EntryType::kSymlink;
    case S_IFCHR:
      return EntryType::kCharacterDevice;
    case S_IFBLK:
      return EntryType::kBlockDevice;
    case S_IFIFO:
      return EntryType::kFifo;
    default:
      return std::nullopt;  // a socket
  }
}

class Walk {
 public:
  Walk(const DiffStack& stack, untar::TarWriter& tar, const std::function<absl::Status()>& check)
      : stack_(stack), tar_(tar), check_(check) {}

  absl::Status run() {
    for (const auto& [paths, roots] :
         {std::pair{&stack_.above, &above_}, {&stack_.below, &below_}}) {
      for (const std::string& path : *paths) {
        BERTH_ASSIGN_OR_RETURN(Fd root, support::openFile(path, O_RDONLY | O_DIRECTORY));
        roots->push_back(std::move(root));
      }
    }
    Directory root;
    for (size_t i = 0; i < above_.size(); ++i) root.above.push_back(i);
    for (size_t i = 0; i < below_.size(); ++i) root.below.push_back(i);
    // A list rather than recursion: the container says how deep it is.
    pending_.push_back(std::move(root));
    while (!pending_.empty()) {
      const Directory next = std::move(pending_.back());
      pending_.pop_back();
      BERTH_RETURN_IF_ERROR(visit(next));
    }
    return absl::OkStatus();
  }

 private:
  // A directory of the merged tree, and those that make it up, by their number.
  struct Directory {
    std::string path;
    std::vector<size_t> above;
    std::vector<size_t> below;
    bool hides = false;  // nothing of what is below shows through
  };
  struct Found {
    size_t layer = 0;
    struct stat info {};
  };
  using Names = std::map<std::string, Found>;

  absl::StatusOr<bool> stat(const Fd& root, const std::string& path, struct stat& info) const {
    const size_t slash = path.rfind('/');
    const Fd parent = openBelow(root, slash == std::string::npos ? "" : path.substr(0, slash),
                                O_PATH | O_DIRECTORY);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (parent && ::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
      return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return errnoStatus(errno, strCat("stat ", path));
  }

  // What the directories show together, whiteouts included.
  absl::StatusOr<Names> merge(const std::vector<Fd>& roots, const std::vector<size_t>& layers,
                              const std::string& path) const {
    Names names;
    for (const size_t layer : layers) {
      const Fd directory = openBelow(roots[layer], path, O_RDONLY | O_DIRECTORY);
      if (!directory) return errnoStatus(errno, strCat("open ", path));
      BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> here, namesIn(directory, path));
      for (const std::string& name : here) {
        if (names.contains(name)) continue;
        Found found{.layer = layer};
        if (::fstatat(directory.get(), name.c_str(), &found.info, AT_SYMLINK_NOFOLLOW) != 0) {
          if (errno == ENOENT) continue;
          return errnoStatus(errno, strCat("stat ", join(path, name)));
        }
        names.emplace(name, found);
      }
    }
    return names;
  }

  // Which of the layers make up the directory `path`, from the highest on. `cut` tells that the
  // last one of them hides what is further down.
  absl::StatusOr<std::vector<size_t>> directoriesAt(const std::vector<Fd>& roots,
                                                    const std::vector<size_t>& layers,
                                                    const std::string& path, bool& cut) const {
    std::vector<size_t> result;
    cut = false;
    for (const size_t layer : layers) {
      struct stat info {};
      BERTH_ASSIGN_OR_RETURN(const bool there, stat(roots[layer], path, info));
      if (!there) continue;
      if (!S_ISDIR(info.st_mode)) {
        cut = true;
        break;
      }
      result.push_back(layer);
      const Fd directory = openBelow(roots[layer], path, O_RDONLY | O_DIRECTORY);
      if (!directory) return errnoStatus(errno, strCat("open ", path));
      if (::fgetxattr(directory.get(), kRedirect, nullptr, 0) >= 0) {
        return absl::FailedPreconditionError(
            strCat("the directory ", path,
                   " was renamed by reference (the mount option redirect_dir), which cannot be "
                   "written as a layer"));
      }
      if (isOpaque(directory)) {
        cut = true;
        break;
      }
    }
    return result;
  }

  absl::Status visit(const Directory& directory) {
    BERTH_ASSIGN_OR_RETURN(const Names names, merge(above_, directory.above, directory.path));
    BERTH_ASSIGN_OR_RETURN(const Names beneath, merge(below_, directory.below, directory.path));
    const auto isBelow = [&beneath](const std::string& name) {
      const auto found = beneath.find(name);
      return found != beneath.end() && !isWhiteout(found->second.info);
    };
    for (const auto& [name, found] : names) {
      BERTH_RETURN_IF_ERROR(check_());
      const std::string path = join(directory.path, name);
      if (isWhiteout(found.info)) {
        if (isBelow(name)) BERTH_RETURN_IF_ERROR(writeWhiteout(directory.path, name));
      } else if (S_ISDIR(found.info.st_mode)) {
        BERTH_RETURN_IF_ERROR(enter(directory, path, found));
      } else {
        BERTH_RETURN_IF_ERROR(write(path, found));
      }
    }
    if (!directory.hides) return absl::OkStatus();
    for (const auto& [name, found] : beneath) {
      if (isWhiteout(found.info) || names.contains(name)) continue;
      BERTH_RETURN_IF_ERROR(writeWhiteout(directory.path, name));
    }
    return absl::OkStatus();
  }

  absl::Status enter(const Directory& parent, const std::string& path, const Found& found) {
    BERTH_RETURN_IF_ERROR(write(path, found));
    Directory child{.path = path};
    bool cut = false;
    BERTH_ASSIGN_OR_RETURN(child.above, directoriesAt(above_, parent.above, path, cut));
    child.hides = parent.hides || cut;
    bool ignored = false;
    BERTH_ASSIGN_OR_RETURN(child.below, directoriesAt(below_, parent.below, path, ignored));
    pending_.push_back(std::move(child));
    return absl::OkStatus();
  }

  absl::Status writeWhiteout(const std::string& directory, const std::string& name) {
    return tar_.add({.name = join(directory, strCat(".wh.", name)), .mode = 0});
  }

  absl::Status write(const std::string& path, const Found& found) {
    const struct stat& info = found.info;
    const auto type = typeOf(info.st_mode);
    if (!type) return absl::OkStatus();
    Entry entry{.type = *type, .name = path};
    entry.mode = info.st_mode & 07777u;
    const bool mapped = found.layer == 0;
    entry.uid = mapped ? insideId(stack_.uids, info.st_uid) : info.st_uid;
    entry.gid = mapped ? insideId(stack_.gids, info.st_gid) : info.st_gid;
    entry.modified = info.st_mtim;
    if (*type != EntryType::kDirectory && info.st_nlink > 1) {
      const auto [first, fresh] = links_.emplace(std::pair(info.st_dev, info.st_ino), path);
      if (!fresh) {
        entry.type = EntryType::kHardLink;
        entry.linkTarget = first->second;
        return tar_.add(entry);
      }
    }
    const size_t slash = path.rfind('/');
    const Fd parent =
        openBelow(above_[found.layer], slash == std::string::npos ? "" : path.substr(0, slash),
                  O_PATH | O_DIRECTORY);
    if (!parent) return errnoStatus(errno, strCat("open the directory of ", path));
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    // By way of its directory: it may be a link, which must not be followed, or a device, which
    // must not be opened.
    BERTH_RETURN_IF_ERROR(readXattrs(strCat("/proc/self/fd/", parent.get(), "/", name), entry));
    switch (*type) {
      case EntryType::kRegular:
        return writeFile(parent, name, info, entry);
      case EntryType::kSymlink: {
        std::string target(PATH_MAX, '\0');
        const ssize_t length =
            ::readlinkat(parent.get(), name.c_str(), target.data(), target.size());
        if (length < 0) return errnoStatus(errno, strCat("read the link ", path));
        entry.linkTarget = target.substr(0, static_cast<size_t>(length));
        return tar_.add(entry);
      }
      case EntryType::kCharacterDevice:
      case EntryType::kBlockDevice:
        entry.deviceMajor = major(info.st_rdev);
        entry.deviceMinor = minor(info.st_rdev);
        return tar_.add(entry);
      default:
        return tar_.add(entry);
    }
  }

  absl::Status writeFile(const Fd& parent, const std::string& name, const struct stat& info,
                         Entry& entry) {
    const Fd file(
        ::openat(parent.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) return errnoStatus(errno, strCat("open ", entry.name));
    entry.size = static_cast<uint64_t>(info.st_size);
    std::vector<DataRange> parts = {{0, entry.size}};
    if (static_cast<uint64_t>(info.st_blocks) * 512 < entry.size) parts = partsOf(file, entry.size);
    const bool whole = parts.size() == 1 && parts[0].position == 0 && parts[0].size == entry.size;
    BERTH_RETURN_IF_ERROR(whole ? tar_.add(entry) : tar_.addSparse(entry, parts));
    for (const DataRange& part : parts) BERTH_RETURN_IF_ERROR(copyPart(file, part, entry.name));
    return absl::OkStatus();
  }

  // What is there between the holes; a file system that does not tell has none.
  static std::vector<DataRange> partsOf(const Fd& file, uint64_t size) {
    std::vector<DataRange> parts;
    for (off_t at = 0; at < static_cast<off_t>(size);) {
      const off_t data = ::lseek(file.get(), at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) return parts;  // a hole up to the end
      if (data < 0) return {{0, size}};
      const off_t hole = std::min(::lseek(file.get(), data, SEEK_HOLE), static_cast<off_t>(size));
      if (hole <= data) return {{0, size}};
      parts.push_back({static_cast<uint64_t>(data), static_cast<uint64_t>(hole - data)});
      if (parts.size() > kMostParts) return {{0, size}};
      at = hole;
    }
    return parts;
  }

  absl::Status copyPart(const Fd& file, DataRange part, const std::string& name) {
    buffer_.resize(kPiece);
    while (part.size > 0) {
      const ssize_t count = ::pread(file.get(), buffer_.data(), std::min(kPiece, part.size),
                                    static_cast<off_t>(part.position));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errnoStatus(errno, strCat("read ", name));
      if (count == 0)
        return absl::AbortedError(strCat(name, " has become shorter while it was read"));
      BERTH_RETURN_IF_ERROR(tar_.data({buffer_.data(), static_cast<size_t>(count)}));
      part.position += static_cast<uint64_t>(count);
      part.size -= static_cast<uint64_t>(count);
      BERTH_RETURN_IF_ERROR(check_());
    }
    return absl::OkStatus();
  }

  const DiffStack& stack_;
  untar::TarWriter& tar_;
  const std::function<absl::Status()>& check_;
  std::vector<Fd> above_;
  std::vector<Fd> below_;
  std::vector<Directory> pending_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  std::string buffer_;
};

}  // namespace

absl::Status writeDiff(const DiffStack& stack, untar::TarWriter& tar,
                       const std::function<absl::Status()>& check) {
  BERTH_RETURN_IF_ERROR(Walk(stack, tar, check).run());
  return tar.finish();
}

}  // namespace berth::overlay
