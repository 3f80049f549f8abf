#include "folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::layout {

using support::strCat;

namespace {

class Folder : public Files {
 public:
  Folder(support::Fd root, std::string path, std::string location)
      : root_(std::move(root)), path_(std::move(path)), location_(std::move(location)) {}

  const std::string& location() const override { return location_; }
  size_t bytes() const override { return sizeof *this; }

  absl::StatusOr<Content> open(const std::string& name) const override {
    const std::string what = strCat(path_, "/", name);
    // Without waiting for whoever might write into a pipe.
    BERTH_ASSIGN_OR_RETURN(
        support::Fd file, support::openInRoot(root_, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, what));
    struct stat info = {};
    if (::fstat(file.get(), &info) != 0) return support::errnoStatus(errno, strCat("stat ", what));
    if (!S_ISREG(info.st_mode))
      return absl::InvalidArgumentError(strCat(what, " is no regular file"));
    return Content{std::make_shared<const support::Fd>(std::move(file)), 0,
                   static_cast<uint64_t>(info.st_size)};
  }

 private:
  const support::Fd root_;
  const std::string path_;
  const std::string location_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Files>> openFolder(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(support::Fd root, support::openFile(path, O_PATH | O_DIRECTORY));
  BERTH_ASSIGN_OR_RETURN(std::string location, locationOf(root));
  return std::unique_ptr<Files>(new Folder(std::move(root), path, std::move(location)));
}

}  // namespace berth::layout
