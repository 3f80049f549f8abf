#include "engine/volumes/sub_path.hpp"

#include <cerrno>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::volumes {
namespace {

using support::errnoStatus;
using support::Fd;
using support::strCat;

absl::Status checkSubPath(const std::string& subPath) {
  BERTH_RETURN_IF_ERROR(spec::checkText(subPath, "image_sub_path"));
  if (subPath.starts_with('/'))
    return absl::InvalidArgumentError(strCat("sub path \"", subPath, "\" must be relative"));
  for (const std::string_view part : common::split(subPath, '/'))
    if (part == "..")
      return absl::InvalidArgumentError(strCat("sub path \"", subPath, "\" must not contain .."));
  return absl::OkStatus();
}

absl::StatusOr<std::string> pathOf(const Fd& file, const std::string& subPath) {
  std::string path(PATH_MAX, '\0');
  const std::string link = strCat("/proc/self/fd/", file.get());
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  if (size < 0) return errnoStatus(errno, strCat("find out where ", subPath, " lies"));
  path.resize(static_cast<size_t>(size));
  return path;
}

}  // namespace

absl::StatusOr<std::string> resolveSubPath(const std::string& root, const std::string& subPath) {
  BERTH_RETURN_IF_ERROR(checkSubPath(subPath));
  BERTH_ASSIGN_OR_RETURN(const Fd directory, support::openFile(root, O_PATH | O_DIRECTORY));
  const auto file = support::openInRoot(directory, subPath, O_PATH, strCat(subPath, " in ", root));
  if (absl::IsNotFound(file.status()))
    return absl::NotFoundError(strCat("sub path \"", subPath, "\" does not exist in the image"));
  BERTH_RETURN_IF_ERROR(file.status());
  struct stat info = {};
  if (::fstat(file->get(), &info) != 0) return errnoStatus(errno, strCat("stat ", subPath));
  if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
    return absl::FailedPreconditionError(
        strCat("sub path \"", subPath, "\" is neither a directory nor a file"));
  return pathOf(*file, subPath);
}

}  // namespace berth::volumes
