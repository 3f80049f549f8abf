#include "main/layout_writer.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
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

absl::Status moveInto(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
    return absl::OkStatus();
  // Not all file systems know the flag: those of USB sticks do not.
  if (errno == EINVAL && !support::pathExists(to) && ::rename(from.c_str(), to.c_str()) == 0)
    return absl::OkStatus();
  return errnoStatus(errno, strCat("write ", to));
}

// Everything lies in a folder beside the path until it is whole.
class Writer : public LayoutWriter {
 public:
  Writer(std::string path, std::string staging)
      : path_(std::move(path)), staging_(std::move(staging)) {}
  ~Writer() override { support::removeTree(staging_).IgnoreError(); }

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
  std::string nextPath() const { return strCat(staging_, "/next"); }
  const std::string& path() const { return path_; }
  const std::string& staging() const { return staging_; }

 private:
  const std::string path_;
  const std::string staging_;
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
    return moveInto(folder(), path());
  }

 private:
  std::string folder() const { return strCat(staging(), "/layout"); }
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
      return errnoStatus(errno, strCat("empty ", archivePath()));
    tar_ = untar::TarWriter(target());
    return absl::OkStatus();
  }
  absl::Status commit() override {
    BERTH_RETURN_IF_ERROR(tar_.finish());
    if (::fsync(archive_.get()) != 0) return errnoStatus(errno, strCat("sync ", path()));
    return moveInto(archivePath(), path());
  }

 private:
  std::string archivePath() const { return strCat(staging(), "/archive"); }
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
  const size_t slash = path.rfind('/');
  const size_t name = slash == std::string::npos ? 0 : slash + 1;
  std::string staging = strCat(path.substr(0, name), ".", path.substr(name), ".XXXXXX");
  if (::mkdtemp(staging.data()) == nullptr) return errnoStatus(errno, strCat("write ", path));
  if (form == LayoutForm::kFolder)
    return std::unique_ptr<LayoutWriter>(new FolderWriter(path, staging));
  auto writer = std::make_unique<ArchiveWriter>(path, staging);
  BERTH_RETURN_IF_ERROR(writer->open());
  return std::unique_ptr<LayoutWriter>(std::move(writer));
}

}  // namespace berth::program
