// Finds out what the kernel and the file system of the root can do, by mounting an overlay that is
// never attached to anything.
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "snapshot_store.hpp"

namespace berth::overlay {

using support::annotate;
using support::errnoStatus;
using support::Fd;
using support::strCat;

absl::Status SnapshotStore::tryMount(const std::string& directory, MountApi api, bool mapped,
                                     bool volatileUpper) const {
  constexpr uint32_t kHostId = 100000;
  Fd userNamespace;
  if (mapped) {
    const IdRanges mappings = {{0, kHostId, 65536}};
    BERTH_ASSIGN_OR_RETURN(userNamespace, support::makeUserNamespace(mappings, mappings));
  }
  // Each try has its own upper directory: a volatile one cannot be used twice.
  const std::string own = strCat(directory, "/", static_cast<int>(api), mapped, volatileUpper);
  for (const std::string& path : {own, own + "/upper", own + "/work"})
    BERTH_RETURN_IF_ERROR(support::makeDirectories(path, 0700));
  OverlayPlan plan{.source = directory,
                   .lowers = {{directory + "/lower", mapped}},
                   .upper = own + "/upper",
                   .work = own + "/work",
                   .options = options_.mountOptions,
                   .selinuxLabel = {},
                   .userNamespace = userNamespace.get(),
                   .staging = layout_.mountPoint()};
  if (volatileUpper) plan.options.emplace_back("volatile");
  BERTH_ASSIGN_OR_RETURN(const Fd mount, makeOverlay(plan, api));
  struct stat info = {};
  if (::fstatat(mount.get(), "file", &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errnoStatus(errno, "stat a file of the trial overlay");
  if (info.st_uid != (mapped ? kHostId : 0))
    return absl::UnimplementedError(strCat("ids are not mapped: the owner is ", info.st_uid));
  return absl::OkStatus();
}

absl::Status SnapshotStore::probe() {
  const std::string directory = layout_.stagingPath();
  BERTH_RETURN_IF_ERROR(support::makeDirectories(directory + "/lower", 0755));
  const absl::Status file =
      support::replaceFile(directory + "/lower/file", "", 0644, support::Durability::kVisible);
  absl::Status works = file;
  for (const MountApi api : {MountApi::kDescriptors, MountApi::kNames}) {
    if (!file.ok()) break;
    if (options_.mountApi != MountApi::kAuto && options_.mountApi != api) continue;
    works = tryMount(directory, api, false, false);
    abilities_.api = api;
    if (works.ok()) break;
  }
  if (works.ok()) {
    abilities_.volatileUpper =
        options_.volatileUpper && tryMount(directory, abilities_.api, false, true).ok();
    abilities_.idMapping = tryMount(directory, abilities_.api, true, false).ok();
  }
  support::StatusCollector failures;
  if (!works.ok())
    failures.add(absl::FailedPreconditionError(
        strCat("overlays cannot be mounted from ", layout_.root(), " with mount_options [",
               options_.mountOptions.size(), "]: ", support::fromAbsl(works.message()))));
  failures.add(support::removeTree(directory));
  return failures.status();
}

}  // namespace berth::overlay
