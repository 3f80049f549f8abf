#include "engine/volumes/mapped_mounts.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"

namespace berth::volumes {
namespace {

using spec::MappedMount;
using support::errnoStatus;
using support::Fd;
using support::MountScope;
using support::strCat;

// The user namespaces that the mounts of one container are mapped with: nearly always one.
class Namespaces {
 public:
  explicit Namespaces(const KnownNamespace& known) : known_(known) {}

  absl::StatusOr<int> find(const MappedMount& mount) {
    for (const Entry& entry : entries_)
      if (entry.uids == mount.uids && entry.gids == mount.gids) return entry.descriptor.get();
    const bool known =
        !known_.path.empty() && known_.uids == mount.uids && known_.gids == mount.gids;
    BERTH_ASSIGN_OR_RETURN(Fd descriptor, known
                                              ? support::openFile(known_.path, O_RDONLY)
                                              : support::makeUserNamespace(mount.uids, mount.gids));
    entries_.push_back({mount.uids, mount.gids, std::move(descriptor)});
    return entries_.back().descriptor.get();
  }

 private:
  struct Entry {
    support::IdRanges uids;
    support::IdRanges gids;
    Fd descriptor;
  };
  const KnownNamespace& known_;
  std::vector<Entry> entries_;
};

struct MappedClone {
  Fd mount;
  bool directory = true;
};

absl::StatusOr<bool> isDirectory(const Fd& file, const std::string& path) {
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return errnoStatus(errno, strCat("stat ", path));
  return S_ISDIR(info.st_mode);
}

absl::StatusOr<Fd> cloneMapped(const Fd& source, const std::string& path, int userNamespace) {
  BERTH_ASSIGN_OR_RETURN(Fd whole, support::cloneMount(source, path, MountScope::kRecursive));
  if (support::mapMountIds(whole, path, userNamespace, MountScope::kRecursive).ok()) return whole;
  // One of the mounts below it cannot be mapped, or it cannot itself.
  BERTH_ASSIGN_OR_RETURN(whole, support::cloneMount(source, path, MountScope::kRecursive));
  BERTH_RETURN_IF_ERROR(support::mapMountIds(whole, path, userNamespace));
  return whole;
}

absl::StatusOr<MappedClone> cloneSource(const MappedMount& mount, Namespaces& namespaces) {
  // It was checked without links, and is mounted without.
  BERTH_ASSIGN_OR_RETURN(const Fd source, support::openWithoutLinks(mount.source, O_PATH));
  BERTH_ASSIGN_OR_RETURN(const int userNamespace, namespaces.find(mount));
  MappedClone result;
  BERTH_ASSIGN_OR_RETURN(result.directory, isDirectory(source, mount.source));
  BERTH_ASSIGN_OR_RETURN(result.mount, cloneMapped(source, mount.source, userNamespace));
  if (!mount.propagates)
    BERTH_RETURN_IF_ERROR(support::makePrivate(result.mount, mount.source, MountScope::kRecursive));
  return result;
}

absl::Status makeTarget(const std::string& target, bool directory) {
  const size_t slash = target.rfind('/');
  // Passable: the runtime may look for it with the ids of the container's root.
  BERTH_RETURN_IF_ERROR(support::makeDirectories(target.substr(0, slash), 0711));
  if (directory) return support::makeDirectories(target, 0711);
  return support::openFile(target, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600).status();
}

absl::Status attach(const MappedMount& mount, Namespaces& namespaces) {
  BERTH_ASSIGN_OR_RETURN(const bool attached, support::isMountPoint(mount.target));
  if (attached) return absl::OkStatus();
  BERTH_ASSIGN_OR_RETURN(const MappedClone clone, cloneSource(mount, namespaces));
  BERTH_RETURN_IF_ERROR(makeTarget(mount.target, clone.directory));
  return support::attachMount(clone.mount, mount.target);
}

absl::Status detach(const std::string& target) {
  BERTH_ASSIGN_OR_RETURN(const bool attached, support::isMountPoint(target));
  if (!attached) return absl::OkStatus();
  // A copy that propagates is a peer of its source: what is unmounted below the one would be
  // unmounted below the other too.
  BERTH_RETURN_IF_ERROR(
      support::setPropagation(target, support::Propagation::kPrivate, MountScope::kRecursive));
  // Lazily: it takes the mounts below along, and does not wait for who happens to look inside.
  return support::unmount(target, support::UnmountMode::kLazy);
}

}  // namespace

bool idMappingWorks(const std::string& directory) {
  constexpr uint32_t kSomeId = 100000;
  const support::IdRanges ranges = {{0, kSomeId, 65536}};
  const auto userNamespace = support::makeUserNamespace(ranges, ranges);
  if (!userNamespace.ok()) return false;
  const auto clone = support::cloneMount(directory);
  return clone.ok() && support::mapMountIds(*clone, directory, userNamespace->get()).ok();
}

absl::Status checkMappedMounts(const std::vector<MappedMount>& mounts,
                               const KnownNamespace& known) {
  Namespaces namespaces(known);
  for (const MappedMount& mount : mounts)
    BERTH_RETURN_IF_ERROR(cloneSource(mount, namespaces).status());
  return absl::OkStatus();
}

absl::Status attachMappedMounts(const std::vector<MappedMount>& mounts,
                                const KnownNamespace& known) {
  Namespaces namespaces(known);
  for (const MappedMount& mount : mounts) BERTH_RETURN_IF_ERROR(attach(mount, namespaces));
  return absl::OkStatus();
}

absl::Status detachMappedMounts(const std::vector<MappedMount>& mounts) {
  support::StatusCollector failures;
  for (const MappedMount& mount : mounts) failures.add(detach(mount.target));
  return failures.status();
}

}  // namespace berth::volumes
