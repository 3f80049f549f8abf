#include "main/layout_writer.hpp"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/untar/tar_writer.hpp"

namespace berth::program {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

// OCI image layout specification: "oci-layout", "index.json", "blobs/<algorithm>/<encoded>".
bool isOfALayout(std::string_view name) {
  if (name == "oci-layout" || name == "index.json") return true;
  constexpr std::string_view kBlobs = "blobs/";
  if (!name.starts_with(kBlobs)) return false;
  const std::string_view blob = name.substr(kBlobs.size());
  const size_t slash = blob.find('/');
  const auto isPart = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && part.find('/') == std::string_view::npos;
  };
  return slash != std::string_view::npos && isPart(blob.substr(0, slash)) &&
         isPart(blob.substr(slash + 1));
}

// The folder beside the path in which everything lies until it is whole. Whoever owns the folder
// around it may put something else in its place, and what root writes must not land there: it is
// opened once, and goes by its descriptor from then on.
class Staging {
 public:
  static absl::StatusOr<Staging> create(const std::string& path) {
    const size_t slash = path.rfind('/');
    const size_t begin = slash == std::string::npos ? 0 : slash + 1;
    Staging staging;
    staging.target_ = path.substr(begin);
    BERTH_ASSIGN_OR_RETURN(
        staging.around_,
        support::openFile(begin == 0 ? "." : path.substr(0, begin), O_RDONLY | O_DIRECTORY));
    uint64_t random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random)
      return errnoStatus(errno, strCat("write ", path));
    char digits[2 * sizeof random + 1];
    std::snprintf(digits, sizeof digits, "%016" PRIx64, random);
    staging.name_ = strCat(".", staging.target_, ".", digits);
    if (::mkdirat(staging.around_.get(), staging.name_.c_str(), 0700) != 0)
      return errnoStatus(errno, strCat("write ", path));
    staging.folder_ = Fd(::openat(staging.around_.get(), staging.name_.c_str(),
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!staging.folder_ || ::fstat(staging.folder_.get(), &info) != 0)
      return errnoStatus(errno, strCat("write ", path));
    if (info.st_uid != ::geteuid() || (info.st_mode & 0077) != 0)
      return absl::AbortedError(strCat("write ", path, ": its folder was replaced meanwhile"));
    return staging;
  }
  Staging(Staging&&) = default;
  Staging& operator=(Staging&&) = delete;
  ~Staging() {
    if (folder_) ::unlinkat(around_.get(), name_.c_str(), AT_REMOVEDIR);
  }

  // The folder itself, wherever it is by now.
  std::string path() const { return strCat("/proc/self/fd/", folder_.get()); }
  // Takes what lies in it to the path, where nothing is.
  absl::Status moveOut(const std::string& name, const std::string& path) const {
    if (::renameat2(folder_.get(), name.c_str(), around_.get(), target_.c_str(),
                    RENAME_NOREPLACE) == 0)
      return absl::OkStatus();
    // Not all file systems know the flag: those of USB sticks do not.
    struct stat info {};
    if (errno == EINVAL &&
        ::fstatat(around_.get(), target_.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 &&
        ::renameat(folder_.get(), name.c_str(), around_.get(), target_.c_str()) == 0)
      return absl::OkStatus();
    return errnoStatus(errno, strCat("write ", path));
  }

 private:
  Staging() = default;

  Fd around_;
  Fd folder_;
  std::string name_;
  std::string target_;
};

constexpr const char* kNext = "next";
constexpr const char* kFolder = "layout";
constexpr const char* kArchive = "archive";

class Writer : public LayoutWriter {
 public:
  Writer(std::string path, Staging staging)
      : path_(std::move(path)), staging_(std::move(staging)) {}
  ~Writer() override {
    for (const char* name : {kNext, kFolder, kArchive})
      support::removeTree(inside(name)).IgnoreError();
  }

  absl::Status write(std::string_view bytes) override {
    if (!next_) {
      BERTH_ASSIGN_OR_RETURN(
          next_, support::openFile(nextPath(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666));
    }
    const absl::Status written = support::writeAll(next_.get(), bytes);
    return support::annotate(written, strCat("write ", path_));
  }
  absl::Status finish(const std::string& name) override {
    if (!isOfALayout(name))
      return absl::InvalidArgumentError(strCat("\"", name, "\" is no file of an image layout"));
    BERTH_RETURN_IF_ERROR(write({}));  // it may be empty
    BERTH_RETURN_IF_ERROR(place(name, next_));
    return drop();
  }
  absl::Status drop() override {
    next_ = Fd();
    return support::removePath(nextPath());
  }

 protected:
  // Puts the file where it belongs; the file itself is taken away afterwards if it is still there.
  virtual absl::Status place(const std::string& name, const Fd& file) = 0;
  std::string inside(const char* name) const { return strCat(staging_.path(), "/", name); }
  std::string nextPath() const { return inside(kNext); }
  const std::string& path() const { return path_; }
  absl::Status moveOut(const char* name) const { return staging_.moveOut(name, path_); }

 private:
  const std::string path_;
  const Staging staging_;
  Fd next_;
};

class FolderWriter final : public Writer {
 public:
  using Writer::Writer;

  absl::Status restart() override {
    BERTH_RETURN_IF_ERROR(drop());
    return support::removeTree(folder());
  }
  absl::Status commit() override {
    BERTH_ASSIGN_OR_RETURN(const Fd directory, support::openFile(folder(), O_RDONLY | O_DIRECTORY));
    if (::syncfs(directory.get()) != 0) return errnoStatus(errno, strCat("sync ", path()));
    return moveOut(kFolder);
  }

 private:
  std::string folder() const { return inside(kFolder); }
  absl::Status place(const std::string& name, const Fd& /*file*/) override {
    const std::string target = strCat(folder(), "/", name);
    BERTH_RETURN_IF_ERROR(support::makeDirectories(target.substr(0, target.rfind('/'))));
    if (::rename(nextPath().c_str(), target.c_str()) != 0)
      return errnoStatus(errno, strCat("write ", target));
    return absl::OkStatus();
  }
};

class ArchiveWriter final : public Writer {
 public:
  using Writer::Writer;

  absl::Status open() {
    BERTH_ASSIGN_OR_RETURN(
        archive_, support::openFile(archivePath(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666));
    return absl::OkStatus();
  }
  absl::Status restart() override {
    BERTH_RETURN_IF_ERROR(drop());
    if (::ftruncate(archive_.get(), 0) != 0 || ::lseek(archive_.get(), 0, SEEK_SET) != 0)
      return errnoStatus(errno, strCat("empty ", path()));
    tar_ = untar::TarWriter(target());
    return absl::OkStatus();
  }
  absl::Status commit() override {
    BERTH_RETURN_IF_ERROR(tar_.finish());
    if (::fsync(archive_.get()) != 0) return errnoStatus(errno, strCat("sync ", path()));
    return moveOut(kArchive);
  }

 private:
  std::string archivePath() const { return inside(kArchive); }
  untar::PieceTarget target() {
    return [this](std::string_view piece) { return support::writeAll(archive_.get(), piece); };
  }
  absl::Status place(const std::string& name, const Fd& file) override {
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return errnoStatus(errno, strCat("stat ", nextPath()));
    untar::Entry entry;
    entry.name = name;
    entry.size = static_cast<uint64_t>(info.st_size);
    entry.mode = 0644;
    // Of the same content the same archive.
    entry.modified = {};
    BERTH_RETURN_IF_ERROR(tar_.add(entry));
    std::vector<char> buffer(size_t{1} << 20);
    for (off_t at = 0; at < info.st_size;) {
      const ssize_t count = ::pread(file.get(), buffer.data(), buffer.size(), at);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return errnoStatus(count < 0 ? errno : EIO, strCat("read ", nextPath()));
      BERTH_RETURN_IF_ERROR(support::annotate(
          tar_.data({buffer.data(), static_cast<size_t>(count)}), strCat("write ", path())));
      at += count;
    }
    return absl::OkStatus();
  }

  Fd archive_;
  untar::TarWriter tar_{target()};
};

}  // namespace

absl::StatusOr<std::unique_ptr<LayoutWriter>> LayoutWriter::create(const std::string& path,
                                                                   LayoutForm form) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0)
    return absl::AlreadyExistsError(strCat(path, " is there already; nothing is written over"));
  BERTH_ASSIGN_OR_RETURN(Staging staging, Staging::create(path));
  if (form == LayoutForm::kFolder)
    return std::unique_ptr<LayoutWriter>(new FolderWriter(path, std::move(staging)));
  auto writer = std::make_unique<ArchiveWriter>(path, std::move(staging));
  BERTH_RETURN_IF_ERROR(writer->open());
  return std::unique_ptr<LayoutWriter>(std::move(writer));
}

}  // namespace berth::program
