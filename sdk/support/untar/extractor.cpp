#include "extractor.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"

namespace berth::untar {

using support::errnoStatus;
using support::Fd;
using support::strCat;
namespace steps = support::steps;

namespace {

constexpr const char* kOpaqueAttribute = "trusted.overlay.opaque";
// Writeback of a large file begins while the rest is still being unpacked, so that the sync at the
// end of the layer finds little left to do.
constexpr uint64_t kWritebackStep = 8u << 20;
// More are not told apart.
constexpr size_t kMostAttributed = 100'000;
// Bounds the memory for directories' times.
constexpr uint64_t kMaximumLateBytes = 256u << 20;

absl::Status writeAt(int file, const DataPiece& piece) {
  std::string_view left = piece.bytes;
  uint64_t position = piece.position;
  while (!left.empty()) {
    const ssize_t count = ::pwrite(file, left.data(), left.size(), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return contentFailure(errno, "write the file");
    left.remove_prefix(static_cast<size_t>(count));
    position += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

// Whether what is made in the directory is given attributes, as by a default ACL above it; where
// that cannot be told it may be.
bool hasAttributes(int directory) {
  std::string names(64u << 10, '\0');
  const ssize_t size = ::flistxattr(directory, names.data(), names.size());
  if (size < 0) return errno != EOPNOTSUPP;
  for (size_t at = 0; at < static_cast<size_t>(size);) {
    const std::string_view name(names.c_str() + at);
    if (!isOfTheHost(name)) return true;
    at += name.size() + 1;
  }
  return false;
}

bool isWhiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

}  // namespace

Extractor::Extractor(int root, TarReader& reader, ExtractObserver* observer)
    : root_(root), reader_(reader), observer_(observer), directories_(root) {}

absl::Status Extractor::start() {
  struct stat info = {};
  if (::fstat(root_, &info) != 0) return errnoStatus(errno, "stat the layer's root");
  directories_.implyRoot(info.st_ino);
  anyAttributed_ = hasAttributes(root_);
  return absl::OkStatus();
}

void Extractor::haveAttributes(ino_t inode) {
  attributed_.insert(inode);
  if (attributed_.size() <= kMostAttributed) return;
  anyAttributed_ = true;
  attributed_.clear();
}

Attributes Extractor::attributesOf(ino_t inode) const {
  return anyAttributed_ || attributed_.contains(inode) ? Attributes::kPossible : Attributes::kNone;
}

absl::Status Extractor::place(const Entry& entry) {
  BERTH_RETURN_IF_ERROR(checkOwner(entry));
  BERTH_ASSIGN_OR_RETURN(const LayerPath path, layerPath(entry.name));
  if (path.base.empty()) {
    if (entry.type != EntryType::kDirectory)
      return absl::InvalidArgumentError("the entry would replace the layer's root directory");
    return describeDirectory(root_, "", entry);
  }
  const Marker marker = markerOf(path);
  if (marker == Marker::kIgnored) return absl::OkStatus();
  const absl::StatusOr<SharedFd> parent = directories_.open(path.parent);
  // Of a directory that became a file some tools white out each thing in it; nothing shows there.
  if (marker != Marker::kNone && absl::IsInvalidArgument(parent.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(parent.status());
  const Place place{path, (*parent)->get()};
  if (marker == Marker::kOpaque) return makeOpaque(place.directory);
  if (marker == Marker::kWhiteout) return placeWhiteout(place);
  switch (entry.type) {
    case EntryType::kRegular:
      return placeRegular(place, entry);
    case EntryType::kDirectory:
      return placeDirectory(place, entry);
    case EntryType::kHardLink:
      return placeHardLink(place, entry);
    case EntryType::kSymlink:
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
    case EntryType::kFifo:
      return placeSpecial(place, entry);
  }
  return absl::InternalError("an entry of unknown type");
}

absl::Status Extractor::placeRegular(const Place& place, const Entry& entry) {
  const char* name = place.path.base.c_str();
  constexpr int kFlags = O_WRONLY | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  // The mode mostly survives the umask and then need not be set again.
  Fd file(steps::createat(place.directory, name, kFlags, entry.mode & 0777, steps::kOfLayer));
  if (!file && errno == EEXIST) {
    BERTH_RETURN_IF_ERROR(clearPlace(place));
    file.reset(steps::createat(place.directory, name, kFlags, entry.mode & 0777, steps::kOfLayer));
  }
  if (!file) return contentFailure(errno, "create the file");
  BERTH_RETURN_IF_ERROR(writeContent(file.get(), entry));
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return errnoStatus(errno, "stat the file");
  if (observer_ != nullptr) observer_->onFile(info);
  if (!entry.xattrs.empty()) haveAttributes(info.st_ino);
  return setAttributes(file.get(), entry, info, Times::kSet);
}

absl::Status Extractor::writeContent(int file, const Entry& entry) {
  uint64_t written = 0;
  uint64_t flushed = 0;
  for (;;) {
    BERTH_ASSIGN_OR_RETURN(const DataPiece piece, reader_.nextData());
    if (piece.bytes.empty()) break;
    BERTH_RETURN_IF_ERROR(writeAt(file, piece));
    if (observer_ != nullptr) observer_->onContent(piece);
    written = piece.position + piece.bytes.size();
    if (written - flushed >= kWritebackStep) {
      // Advice: a failure shows up again in the sync at the end.
      (void)::sync_file_range(file, static_cast<off_t>(flushed),
                              static_cast<off_t>(written - flushed), SYNC_FILE_RANGE_WRITE);
      flushed = written;
    }
  }
  if (entry.sparse && written < entry.size &&
      ::ftruncate(file, static_cast<off_t>(entry.size)) != 0)
    return contentFailure(errno, "set the size of the sparse file");
  return absl::OkStatus();
}

absl::Status Extractor::placeDirectory(const Place& place, const Entry& entry) {
  const char* name = place.path.base.c_str();
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  bool overWhiteout = false;
  if (steps::mkdirat(place.directory, name, entry.mode & 0777, steps::kOfLayer) != 0) {
    if (errno != EEXIST) return contentFailure(errno, "create the directory");
    struct stat there = {};
    if (::fstatat(place.directory, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
      return errnoStatus(errno, "stat what is there already");
    if (!S_ISDIR(there.st_mode)) {
      overWhiteout = isWhiteout(there);
      BERTH_RETURN_IF_ERROR(clearPlace(place));
      if (steps::mkdirat(place.directory, name, entry.mode & 0777, steps::kOfLayer) != 0)
        return contentFailure(errno, "create the directory");
    }
  }
  const Fd directory(::openat(place.directory, name, kFlags));
  if (!directory) return contentFailure(errno, "open the directory");
  // Whited out and made anew in one layer: what lies below stays hidden.
  if (overWhiteout) BERTH_RETURN_IF_ERROR(makeOpaque(directory.get()));
  return describeDirectory(directory.get(), place.path.full(), entry);
}

absl::Status Extractor::describeDirectory(int directory, const std::string& path,
                                          const Entry& entry) {
  struct stat info = {};
  if (::fstat(directory, &info) != 0) return errnoStatus(errno, "stat the directory");
  BERTH_RETURN_IF_ERROR(setAttributes(directory, entry, info, Times::kLeave));
  directories_.described(info.st_ino);
  if (!entry.xattrs.empty()) haveAttributes(info.st_ino);
  LateDirectory late{.path = path, .modified = entry.modified, .xattrs = {}};
  lateBytes_ += sizeof late + path.size();
  for (const Xattr& xattr : entry.xattrs) {
    if (!isSetLast(xattr)) continue;
    lateBytes_ += xattr.value.size();
    late.xattrs.push_back(xattr);
  }
  if (lateBytes_ > kMaximumLateBytes)
    return absl::ResourceExhaustedError("the layer has too many directories to unpack");
  late_.push_back(std::move(late));
  return absl::OkStatus();
}

absl::Status Extractor::placeHardLink(const Place& place, const Entry& entry) {
  BERTH_ASSIGN_OR_RETURN(const LayerPath target, layerPath(entry.linkTarget));
  const std::string doing = strCat("make a hard link to ", inQuotes(entry.linkTarget));
  const absl::StatusOr<SharedFd> parent = directories_.find(target.parent);
  if (absl::IsNotFound(parent.status()))
    return absl::InvalidArgumentError(strCat(doing, ": the layer has no such file"));
  BERTH_RETURN_IF_ERROR(parent.status());
  const int from = (*parent)->get();
  const char* fromName = target.base.c_str();
  const char* name = place.path.base.c_str();
  if (steps::linkat(from, fromName, place.directory, name, steps::kOfLayer) == 0)
    return absl::OkStatus();
  if (errno == EEXIST) {
    struct stat source = {};
    struct stat there = {};
    if (::fstatat(from, fromName, &source, AT_SYMLINK_NOFOLLOW) != 0)
      return contentFailure(errno, doing);
    if (::fstatat(place.directory, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
      return contentFailure(errno, doing);
    // Also a link to itself, whose target must not be removed.
    if (source.st_ino == there.st_ino) return absl::OkStatus();
    BERTH_RETURN_IF_ERROR(clearPlace(place));
    if (steps::linkat(from, fromName, place.directory, name, steps::kOfLayer) == 0)
      return absl::OkStatus();
  }
  // EPERM is what the kernel says of directories.
  if (errno == EPERM) return absl::InvalidArgumentError(strCat(doing, ": it is a directory"));
  return contentFailure(errno, doing);
}

int Extractor::createSpecial(const Place& place, const Entry& entry) {
  const char* name = place.path.base.c_str();
  switch (entry.type) {
    case EntryType::kSymlink:
      return steps::symlinkat(entry.linkTarget.c_str(), place.directory, name, steps::kOfLayer);
    case EntryType::kCharacterDevice:
      return steps::mknodat(place.directory, name, S_IFCHR | (entry.mode & 0777),
                            makedev(entry.deviceMajor, entry.deviceMinor), steps::kOfLayer);
    case EntryType::kBlockDevice:
      return steps::mknodat(place.directory, name, S_IFBLK | (entry.mode & 0777),
                            makedev(entry.deviceMajor, entry.deviceMinor), steps::kOfLayer);
    default:
      return steps::mknodat(place.directory, name, S_IFIFO | (entry.mode & 0777), 0,
                            steps::kOfLayer);
  }
}

absl::Status Extractor::placeSpecial(const Place& place, const Entry& entry) {
  if (createSpecial(place, entry) != 0) {
    if (errno != EEXIST) return contentFailure(errno, "create the link or special file");
    BERTH_RETURN_IF_ERROR(clearPlace(place));
    if (createSpecial(place, entry) != 0)
      return contentFailure(errno, "create the link or special file");
  }
  const std::string& name = place.path.base;
  struct stat info = {};
  if (::fstatat(place.directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errnoStatus(errno, "stat the link or special file");
  if (!entry.xattrs.empty()) haveAttributes(info.st_ino);
  return setAttributesAt(place.directory, name, entry, info);
}

absl::Status Extractor::placeWhiteout(const Place& place) {
  BERTH_ASSIGN_OR_RETURN(const std::string hidden, whiteoutTarget(place.path));
  if (steps::mknodat(place.directory, hidden.c_str(), S_IFCHR, makedev(0, 0), steps::kOfLayer) == 0)
    return absl::OkStatus();
  if (errno != EEXIST) return contentFailure(errno, "create the whiteout");
  // The layer has an entry of that name too, and a whiteout is about the layers below alone: a file
  // hides what is below it anyway, a directory must be told to.
  const Fd there(
      ::openat(place.directory, hidden.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return there ? makeOpaque(there.get()) : absl::OkStatus();
}

absl::Status Extractor::makeOpaque(int directory) {
  struct stat info = {};
  if (::fstat(directory, &info) != 0) return errnoStatus(errno, "stat the directory");
  haveAttributes(info.st_ino);
  if (::fsetxattr(directory, kOpaqueAttribute, "y", 1, 0) == 0) return absl::OkStatus();
  return errnoStatus(errno, strCat("set ", kOpaqueAttribute,
                                   " (the file system of the layers must keep trusted.* extended "
                                   "attributes)"));
}

absl::Status Extractor::clearPlace(const Place& place) {
  const char* name = place.path.base.c_str();
  struct stat info = {};
  if (::fstatat(place.directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? absl::OkStatus() : errnoStatus(errno, "stat what is there already");
  if (!S_ISDIR(info.st_mode)) {
    if (steps::unlinkat(place.directory, name, 0, steps::kOfLayer) != 0)
      return errnoStatus(errno, "remove what is there already");
    if (S_ISLNK(info.st_mode)) directories_.forget();
    return absl::OkStatus();
  }
  const std::string path = strCat("/proc/self/fd/", place.directory, "/", place.path.base);
  BERTH_RETURN_IF_ERROR(support::removeTree(path));
  directories_.forget();
  return absl::OkStatus();
}

absl::Status Extractor::finish(ExtractResult& result) {
  result.impliedDirectories = directories_.implied();
  for (const LateDirectory& late : late_) {
    const Fd directory = openInRoot(root_, late.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    // Replaced by a later entry.
    if (!directory && contentError(errno)) continue;
    if (!directory) return errnoStatus(errno, strCat("open directory ", inQuotes(late.path)));
    for (const Xattr& xattr : late.xattrs) BERTH_RETURN_IF_ERROR(setXattr(directory.get(), xattr));
    if (::futimens(directory.get(), TimePair(late.modified).times) != 0)
      return contentFailure(errno, strCat("set the time of directory ", inQuotes(late.path)));
  }
  EntryVisitor show;
  if (observer_ != nullptr)
    show = [this](const FoundEntry& found) {
      return observer_->onFound(found, attributesOf(found.info.st_ino));
    };
  BERTH_ASSIGN_OR_RETURN(result.usage, walkTree(root_, show));
  return absl::OkStatus();
}

}  // namespace berth::untar
