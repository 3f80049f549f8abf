// Finds out what the kernel and the file system of the root can do, by mounting an overlay that is
// never attached to anything.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "snapshot_store.hpp"

namespace berth::overlay {

using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

// All that the answers depend on.
absl::StatusOr<std::string> circumstancesOf(const std::string& root, const Options& options) {
  struct utsname kernel = {};
  struct statfs system = {};
  if (::uname(&kernel) != 0) return errnoStatus(errno, "ask for the kernel's version");
  if (::statfs(root.c_str(), &system) != 0)
    return errnoStatus(errno, strCat("look at the file system of ", root));
  uint64_t id = 0;
  static_assert(sizeof id == sizeof system.f_fsid);
  std::memcpy(&id, &system.f_fsid, sizeof id);
  std::string text = strCat(kernel.release, " ", kernel.version, "; file system ", system.f_type,
                            " ", id, "; ", static_cast<int>(options.mountApi), " ",
                            options.volatileUpper ? "volatile" : "synced");
  for (const std::string& option : options.mountOptions) text += strCat(" ", option);
  return text;
}

std::string encode(const Abilities& abilities, const std::string& circumstances) {
  return boost::json::serialize(
             boost::json::object{{"circumstances", circumstances},
                                 {"descriptors", abilities.api == MountApi::kDescriptors},
                                 {"idMapping", abilities.idMapping},
                                 {"volatile", abilities.volatileUpper}}) +
         "\n";
}

// None for those of other circumstances.
std::optional<Abilities> readAbilities(const std::string& path, const std::string& circumstances) {
  const auto text = support::readFile(path);
  if (!text.ok()) return std::nullopt;
  const auto record = support::parseJsonObject(*text, path);
  if (!record.ok() || support::stringMember(*record, "circumstances") != circumstances)
    return std::nullopt;
  return Abilities{.api = support::boolMember(*record, "descriptors") ? MountApi::kDescriptors
                                                                      : MountApi::kNames,
                   .idMapping = support::boolMember(*record, "idMapping"),
                   .volatileUpper = support::boolMember(*record, "volatile")};
}

}  // namespace

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

absl::StatusOr<Abilities> SnapshotStore::tryAll(const std::string& directory) const {
  BERTH_RETURN_IF_ERROR(support::makeDirectories(directory + "/lower", 0755));
  BERTH_RETURN_IF_ERROR(
      support::replaceFile(directory + "/lower/file", "", 0644, support::Durability::kVisible));
  Abilities found;
  absl::Status works;
  for (const MountApi api : {MountApi::kDescriptors, MountApi::kNames}) {
    if (options_.mountApi != MountApi::kAuto && options_.mountApi != api) continue;
    works = tryMount(directory, api, false, false);
    found.api = api;
    if (works.ok() || absl::IsResourceExhausted(works)) break;
  }
  BERTH_RETURN_IF_ERROR(works);
  const absl::Status volatileUpper = options_.volatileUpper
                                         ? tryMount(directory, found.api, false, true)
                                         : absl::UnimplementedError("not wanted");
  const absl::Status idMapping = tryMount(directory, found.api, true, false);
  // A disk that is full says nothing of the kernel.
  for (const absl::Status& one : {volatileUpper, idMapping})
    if (absl::IsResourceExhausted(one)) return one;
  found.volatileUpper = volatileUpper.ok();
  found.idMapping = idMapping.ok();
  return found;
}

absl::Status SnapshotStore::probe() {
  const std::string directory = layout_.stagingPath();
  const std::string answers = layout_.root() + "/abilities.json";
  BERTH_ASSIGN_OR_RETURN(const std::string circumstances,
                         circumstancesOf(layout_.root(), options_));
  absl::StatusOr<Abilities> found = tryAll(directory);
  absl::Status cleared = support::removeTree(directory);
  if (absl::IsResourceExhausted(found.status())) {
    // Who wants room must be able to start: what was found last is still true.
    const auto kept = readAbilities(answers, circumstances);
    if (kept) found = *kept;
  }
  if (!found.ok()) {
    support::StatusCollector failures;
    failures.add(absl::Status(
        absl::IsResourceExhausted(found.status()) ? absl::StatusCode::kResourceExhausted
                                                  : absl::StatusCode::kFailedPrecondition,
        strCat("overlays cannot be mounted from ", layout_.root(), " with mount_options [",
               options_.mountOptions.size(), "]: ", support::fromAbsl(found.status().message()))));
    failures.add(cleared);
    return failures.status();
  }
  abilities_ = *found;
  const std::string text = encode(abilities_, circumstances);
  // Not to be had on a full disk, and then there is no need of it.
  if (support::readFile(answers).value_or("") != text)
    support::replaceFile(answers, text, 0600, support::Durability::kVisible).IgnoreError();
  return cleared;
}

}  // namespace berth::overlay
