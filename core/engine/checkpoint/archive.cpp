#include "engine/checkpoint/archive.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <vector>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/untar/tar_reader.hpp"
#include "berth/untar/tar_writer.hpp"
#include "engine/checkpoint/names.hpp"
#include "images/decompress.hpp"

namespace berth::checkpoint {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

constexpr size_t kPiece = 1u << 20;

absl::Status readPieces(const Fd& file, uint64_t size, const std::string& name,
                        const std::function<absl::Status(std::string_view)>& take) {
  std::string buffer(std::min<uint64_t>(kPiece, std::max<uint64_t>(size, 1)), '\0');
  while (size > 0) {
    const ssize_t count =
        ::read(file.get(), buffer.data(), std::min<uint64_t>(buffer.size(), size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errnoStatus(errno, strCat("read ", name));
    if (count == 0) return absl::AbortedError(strCat(name, " became shorter while it was read"));
    BERTH_RETURN_IF_ERROR(take({buffer.data(), static_cast<size_t>(count)}));
    size -= static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status addFile(const std::string& path, const std::string& name, untar::TarWriter& tar,
                     const Check& check) {
  auto file = support::openFile(path, O_RDONLY | O_NOFOLLOW);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(file.status());
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) return errnoStatus(errno, strCat("stat ", path));
  if (!S_ISREG(info.st_mode)) return absl::OkStatus();
  untar::Entry entry{.name = name, .size = static_cast<uint64_t>(info.st_size), .mode = 0600};
  entry.modified.tv_sec = info.st_mtim.tv_sec;
  BERTH_RETURN_IF_ERROR(tar.add(entry));
  return readPieces(*file, entry.size, path, [&](std::string_view piece) -> absl::Status {
    BERTH_RETURN_IF_ERROR(check());
    return tar.data(piece);
  });
}

// Where a name of an archive goes to in the tree; empty for what is left out.
absl::StatusOr<std::string> placeOf(std::string_view name) {
  std::vector<std::string> parts;
  if (name.starts_with('/')) name.remove_prefix(1);
  for (const absl::string_view part :
       absl::StrSplit(support::toAbsl(name), '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == "..") {
      return absl::InvalidArgumentError(
          strCat("the name ", untar::inQuotes(name), " leads out of the checkpoint"));
    }
    parts.emplace_back(part);
  }
  if (parts.size() == 1 && std::find(kFiles.begin(), kFiles.end(), parts[0]) != kFiles.end()) {
    return parts[0];
  }
  if (parts.size() == 2 && parts[0] == kImageFolder) return strCat(parts[0], "/", parts[1]);
  return std::string();
}

// The files that come in, within the limits.
class Intake {
 public:
  Intake(std::string tree, const ImportLimits& limits) : tree_(std::move(tree)), limits_(limits) {}

  absl::StatusOr<Fd> open(const std::string& place, uint64_t size) {
    if (++files_ > limits_.files) {
      return absl::ResourceExhaustedError(
          strCat("the checkpoint has more than ", limits_.files, " files"));
    }
    if (size > limits_.bytes - bytes_) {
      return absl::ResourceExhaustedError(strCat("the checkpoint's file ", place, " is ", size,
                                                 " bytes long; there is room for ",
                                                 limits_.bytes - bytes_));
    }
    bytes_ += size;
    auto file = support::openFile(strCat(tree_, "/", place),
                                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (absl::IsAlreadyExists(file.status())) {
      return absl::InvalidArgumentError(strCat("the checkpoint has ", place, " twice"));
    }
    return file;
  }

 private:
  const std::string tree_;
  const ImportLimits limits_;
  uint64_t bytes_ = 0;
  uint64_t files_ = 0;
};

absl::Status storeEntry(untar::TarReader& tar, const untar::Entry& entry, const std::string& place,
                        Intake& intake, const Check& check) {
  BERTH_ASSIGN_OR_RETURN(const Fd file, intake.open(place, entry.size));
  for (;;) {
    BERTH_RETURN_IF_ERROR(check());
    BERTH_ASSIGN_OR_RETURN(const untar::DataPiece piece, tar.nextData());
    if (piece.bytes.empty()) break;
    if (::lseek(file.get(), static_cast<off_t>(piece.position), SEEK_SET) < 0) {
      return errnoStatus(errno, strCat("write ", place));
    }
    BERTH_RETURN_IF_ERROR(support::annotate(support::writeAll(file.get(), piece.bytes), place));
  }
  if (entry.sparse && ::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0) {
    return errnoStatus(errno, strCat("write ", place));
  }
  return absl::OkStatus();
}

absl::Status makeImageFolder(const std::string& tree) {
  return support::makeDirectories(strCat(tree, "/", kImageFolder), 0700);
}

absl::Status copyIn(const Fd& directory, const std::string& name, const std::string& place,
                    Intake& intake, const Check& check) {
  struct stat info {};
  if (::fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? absl::OkStatus() : errnoStatus(errno, strCat("stat ", place));
  }
  const auto refuse = [&] {
    return absl::InvalidArgumentError(strCat("the checkpoint's ", place, " is not a regular file"));
  };
  if (!S_ISREG(info.st_mode)) return refuse();
  const Fd from(
      ::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!from) return errno == ELOOP ? refuse() : errnoStatus(errno, strCat("open ", place));
  if (::fstat(from.get(), &info) != 0) return errnoStatus(errno, strCat("stat ", place));
  if (!S_ISREG(info.st_mode)) return refuse();
  const auto size = static_cast<uint64_t>(info.st_size);
  BERTH_ASSIGN_OR_RETURN(const Fd to, intake.open(place, size));
  return readPieces(from, size, place, [&](std::string_view piece) -> absl::Status {
    BERTH_RETURN_IF_ERROR(check());
    return support::annotate(support::writeAll(to.get(), piece), place);
  });
}

}  // namespace

absl::Status writeArchive(const std::string& tree, const Fd& file, const Check& check) {
  untar::TarWriter tar(
      [&](std::string_view piece) { return support::writeAll(file.get(), piece); });
  for (const std::string_view name : kFiles) {
    BERTH_RETURN_IF_ERROR(addFile(strCat(tree, "/", name), std::string(name), tar, check));
  }
  const std::string folder(kImageFolder);
  BERTH_RETURN_IF_ERROR(
      tar.add({.type = untar::EntryType::kDirectory, .name = folder, .mode = 0700}));
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         support::listDirectory(strCat(tree, "/", folder)));
  for (const std::string& name : names) {
    const std::string path = strCat(folder, "/", name);
    BERTH_RETURN_IF_ERROR(addFile(strCat(tree, "/", path), path, tar, check));
  }
  return tar.finish();
}

absl::Status importArchive(const Fd& file, const std::string& tree, const ImportLimits& limits,
                           const Check& check) {
  std::string buffer(kPiece, '\0');
  const auto plain = images::Decompressor::create([&]() -> absl::StatusOr<std::string_view> {
    BERTH_RETURN_IF_ERROR(check());
    for (;;) {
      const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
      if (count >= 0) return std::string_view(buffer.data(), static_cast<size_t>(count));
      if (errno != EINTR) return errnoStatus(errno, "read the checkpoint archive");
    }
  });
  untar::TarReader tar([&](std::string_view& piece) -> absl::Status {
    BERTH_ASSIGN_OR_RETURN(piece, plain->next());
    return absl::OkStatus();
  });
  BERTH_RETURN_IF_ERROR(makeImageFolder(tree));
  Intake intake(tree, limits);
  for (;;) {
    untar::Entry entry;
    BERTH_ASSIGN_OR_RETURN(const bool more, tar.next(entry));
    if (!more) return absl::OkStatus();
    BERTH_ASSIGN_OR_RETURN(const std::string place, placeOf(entry.name));
    if (entry.type == untar::EntryType::kDirectory) continue;
    if (entry.type != untar::EntryType::kRegular) {
      return absl::InvalidArgumentError(strCat("the checkpoint has ", untar::inQuotes(entry.name),
                                               ", which is neither a file nor a directory"));
    }
    if (place.empty()) continue;
    BERTH_RETURN_IF_ERROR(storeEntry(tar, entry, place, intake, check));
  }
}

absl::Status importDirectory(const Fd& from, const std::string& tree, const ImportLimits& limits,
                             const Check& check) {
  BERTH_RETURN_IF_ERROR(makeImageFolder(tree));
  Intake intake(tree, limits);
  for (const std::string_view name : kFiles) {
    BERTH_RETURN_IF_ERROR(copyIn(from, std::string(name), std::string(name), intake, check));
  }
  const std::string folder(kImageFolder);
  const Fd images(
      ::openat(from.get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!images) {
    return absl::InvalidArgumentError(strCat("this is no checkpoint: it has no folder ", folder));
  }
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         support::listDirectory(strCat("/proc/self/fd/", images.get())));
  for (const std::string& name : names) {
    BERTH_RETURN_IF_ERROR(copyIn(images, name, strCat(folder, "/", name), intake, check));
  }
  return absl::OkStatus();
}

ImportLimits roomIn(const std::string& directory) {
  ImportLimits limits;
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) == 0) limits.bytes = info.f_bavail * info.f_frsize;
  return limits;
}

}  // namespace berth::checkpoint
