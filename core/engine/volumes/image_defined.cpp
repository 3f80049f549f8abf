#include "engine/volumes/image_defined.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "common/copy_tree.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::volumes {
namespace {

using spec::liesBelow;
using support::errnoStatus;
using support::Fd;
using support::strCat;

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY;

// Images write "data" as well as "/data/".
std::string volumePath(const std::string& declared) {
  return spec::cleanPath(strCat("/", declared));
}

bool isTaken(const std::string& path, const runtime::v1::ContainerConfig& config) {
  for (const char* const own : {"/dev", "/proc", "/sys"})
    if (liesBelow(path, own)) return true;
  return std::any_of(config.mounts().begin(), config.mounts().end(), [&](const auto& mount) {
    return liesBelow(path, spec::cleanPath(mount.container_path()));
  });
}

absl::StatusOr<Fd> openRootfs(const std::string& rootfs) {
  return support::openFile(rootfs, O_PATH | O_DIRECTORY);
}

std::string describe(const std::string& rootfs, const std::string& path) {
  return strCat(path, " in the root file system ", rootfs);
}

absl::Status makeOwned(const Fd& parent, const std::string& name, Owner owner,
                       const std::string& what) {
  if (support::steps::mkdirat(parent.get(), name.c_str(), 0755) != 0)
    return errnoStatus(errno, strCat("make directory ", what));
  if (::fchownat(parent.get(), name.c_str(), owner.user, owner.group, AT_SYMLINK_NOFOLLOW) != 0)
    return errnoStatus(errno, strCat("set the owner of ", what));
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> definedVolumes(const common::ImageConfig& image,
                                        const runtime::v1::ContainerConfig& config) {
  std::set<std::string> paths;
  for (const std::string& declared : image.volumes) {
    if (!spec::checkText(declared, "a volume").ok()) continue;
    std::string path = volumePath(declared);
    if (path != "/" && !isTaken(path, config)) paths.insert(std::move(path));
  }
  return {paths.begin(), paths.end()};
}

absl::StatusOr<bool> makeVolume(const std::string& rootfs, const std::string& path,
                                const std::string& target, Owner owner,
                                const std::function<absl::Status()>& goOn) {
  BERTH_ASSIGN_OR_RETURN(const Fd root, openRootfs(rootfs));
  const std::string what = describe(rootfs, path);
  const auto found = support::openInRoot(root, path, O_PATH, what);
  const bool missing = absl::IsNotFound(found.status());
  if (!missing) {
    BERTH_RETURN_IF_ERROR(found.status());
    struct stat info = {};
    if (::fstat(found->get(), &info) != 0) return errnoStatus(errno, strCat("stat ", what));
    if (!S_ISDIR(info.st_mode)) return false;
  }
  BERTH_RETURN_IF_ERROR(support::makeDirectories(target));
  BERTH_ASSIGN_OR_RETURN(const Fd to, support::openFile(target, kDirectoryFlags));
  if (missing) {
    if (::fchown(to.get(), owner.user, owner.group) == 0) return true;
    return errnoStatus(errno, strCat("set the owner of ", target));
  }
  BERTH_ASSIGN_OR_RETURN(const Fd from, support::openInRoot(root, path, kDirectoryFlags, what));
  BERTH_RETURN_IF_ERROR(
      support::annotate(common::copyTree(from, to, goOn), strCat("fill the volume of ", path)));
  return true;
}

absl::StatusOr<bool> makeInRootfs(const std::string& rootfs, const std::string& path, Owner owner) {
  BERTH_ASSIGN_OR_RETURN(const Fd root, openRootfs(rootfs));
  std::string done;
  for (const std::string_view name : common::split(std::string_view(path).substr(1), '/')) {
    const std::string parent = done.empty() ? "." : done;
    done += strCat("/", name);
    const std::string what = describe(rootfs, done);
    const auto found = support::openInRoot(root, done, O_PATH, what);
    if (absl::IsNotFound(found.status())) {
      const auto above = support::openInRoot(root, parent, O_RDONLY | O_DIRECTORY, what);
      if (absl::IsNotFound(above.status())) return false;  // a file
      BERTH_RETURN_IF_ERROR(above.status());
      const absl::Status made = makeOwned(*above, std::string(name), owner, what);
      if (absl::IsAlreadyExists(made)) return false;  // a link to nowhere
      BERTH_RETURN_IF_ERROR(made);
      continue;
    }
    BERTH_RETURN_IF_ERROR(found.status());
    struct stat info = {};
    if (::fstat(found->get(), &info) != 0) return errnoStatus(errno, strCat("stat ", what));
    if (!S_ISDIR(info.st_mode)) return false;
  }
  return true;
}

}  // namespace berth::volumes
