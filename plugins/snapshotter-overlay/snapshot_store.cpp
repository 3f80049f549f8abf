#include "snapshot_store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <set>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"
#include "diff.hpp"
#include "inherit.hpp"

namespace berth::overlay {

using support::annotate;
using support::errnoStatus;
using support::Fd;
using support::strCat;

namespace {

constexpr size_t kMaximumSource = 255;  // what fsconfig(2) takes as one string

// An identity for the part of an id range that the mapping leaves out would be a guess.
absl::Status checkMappings(const SnapshotRecord& record) {
  if (record.uidMappings.empty() == record.gidMappings.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("prepare snapshot ", record.key, ": user and group ids must be mapped both"));
}

absl::StatusOr<std::string> resolved(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return errnoStatus(errno, strCat("find ", path));
  std::string result(real);
  std::free(real);
  return result;
}

absl::StatusOr<Fd> userNamespaceFor(const SnapshotRecord& record) {
  if (!record.mapped()) return Fd();
  return support::makeUserNamespace(record.uidMappings, record.gidMappings);
}

// The layers that a mounted snapshot lies on; none when the mount table does not tell of all.
absl::StatusOr<std::optional<std::vector<std::string>>> mountedLayers(const Layout& layout,
                                                                      const std::string& key) {
  const std::string own = layout.snapshot(key);
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> lowers, lowersOf(own));
  const std::string prefix = layout.layers() + "/";
  constexpr std::string_view kSuffix = "/fs";
  std::vector<std::string> layers;
  for (const std::string& path : lowers) {
    if (path == layout.empty() || path == own + "/upper") continue;
    if (!path.starts_with(prefix) || !path.ends_with(kSuffix)) return std::nullopt;
    layers.push_back(
        digestOf(path.substr(prefix.size(), path.size() - prefix.size() - kSuffix.size())));
  }
  return layers;
}

}  // namespace

absl::Status SnapshotStore::prepare(const SnapshotRecord& record, const Op& op) {
  BERTH_RETURN_IF_ERROR(checkKey(record.key));
  for (const std::string& layer : record.layers) BERTH_RETURN_IF_ERROR(checkDigest(layer));
  BERTH_RETURN_IF_ERROR(checkMappings(record));
  BERTH_RETURN_IF_ERROR(checkOwn(record.key));
  const std::string path = layout_.snapshot(record.key);
  if (path.size() > kMaximumSource)
    return absl::InvalidArgumentError(strCat("the path of snapshot ", record.key, " is ",
                                             path.size(), " bytes long; choose a shorter root"));
  if (record.mapped() && !abilities_.idMapping)
    return absl::FailedPreconditionError(
        strCat("prepare snapshot ", record.key, ": this kernel or the file system of ",
               layout_.root(), " cannot map ids for user namespaces"));
  BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(record.key, op));
  if (const auto known = registry_.snapshot(record.key)) {
    if (sameSnapshot(*known, record)) return absl::OkStatus();
    return absl::AlreadyExistsError(strCat("prepare snapshot ", record.key,
                                           ": it exists with other layers or settings; remove it "
                                           "or choose another key"));
  }
  BERTH_ASSIGN_OR_RETURN(const std::vector<LayerRecord> layers, registry_.addSnapshot(record));
  const std::string staging = layout_.stagingPath();
  absl::Status status = build(record, layers, staging, op);
  if (status.ok() && support::steps::rename(staging.c_str(), path.c_str()) != 0)
    status = errnoStatus(errno, strCat("rename ", staging, " to ", path));
  if (status.ok()) return absl::OkStatus();
  registry_.removeSnapshot(record.key);
  support::StatusCollector failures;
  failures.add(annotate(status, strCat("prepare snapshot ", record.key)));
  failures.add(support::removeTree(staging));
  return failures.status();
}

// Nothing is synced: a snapshot that a power cut takes away was about to hold a container that the
// power cut takes away as well.
absl::Status SnapshotStore::build(const SnapshotRecord& record,
                                  const std::vector<LayerRecord>& layers,
                                  const std::string& staging, const Op& op) const {
  for (const std::string& path : {staging, staging + "/upper", staging + "/work"})
    if (support::steps::mkdir(path.c_str(), 0700) != 0)
      return errnoStatus(errno, strCat("make directory ", path));
  std::vector<LayerView> views;
  views.reserve(layers.size());
  for (const LayerRecord& layer : layers)
    views.push_back({layout_.layer(layer.diffId) + "/fs", layer.impliedDirectories});
  BERTH_RETURN_IF_ERROR(
      inheritDirectories(staging + "/upper", views, record.uidMappings, record.gidMappings, op));
  return support::replaceFile(snapshotRecordPath(staging), encode(record), 0600,
                              support::Durability::kVisible);
}

OverlayPlan SnapshotStore::planFor(const SnapshotRecord& record) const {
  const std::string path = layout_.snapshot(record.key);
  OverlayPlan plan;
  plan.source = path;
  plan.staging = layout_.mountPoint();
  plan.selinuxLabel = record.selinuxLabel;
  // What these change may not hang on the defaults of the host's kernel: the index would tie a
  // layer to one upper directory, metadata alone in the upper one would not count as usage, and
  // directories renamed by reference could not be told as changes.
  plan.options = {"index=off", "metacopy=off", "redirect_dir=off"};
  plan.options.insert(plan.options.end(), options_.mountOptions.begin(),
                      options_.mountOptions.end());
  if (record.readOnly) {
    // Its own directory still lies on top, for the root's owner and mode.
    plan.lowers.push_back({path + "/upper", false});
  } else {
    plan.upper = path + "/upper";
    plan.work = path + "/work";
    if (abilities_.volatileUpper) plan.options.emplace_back("volatile");
  }
  // The kernel takes no directory twice. An image may have the same layer at several places: the
  // highest says all that the others say, and has the last word.
  std::set<std::string_view> taken;
  for (auto layer = record.layers.rbegin(); layer != record.layers.rend(); ++layer)
    if (taken.insert(*layer).second)
      plan.lowers.push_back({layout_.layer(*layer) + "/fs", record.mapped()});
  if (record.layers.empty()) plan.lowers.push_back({layout_.empty(), false});
  return plan;
}

// The kernel leaves a mark in the work directory so that nobody trusts an unsynced upper one after
// a crash. Whoever mounts this snapshot again knows that: its content is that of a container which
// may go on after an orderly reboot, and is thrown away otherwise.
absl::Status SnapshotStore::clearVolatileMark(const SnapshotRecord& record) const {
  if (record.readOnly) return absl::OkStatus();
  return support::removeTree(layout_.snapshot(record.key) + "/work/work/incompat");
}

absl::Status SnapshotStore::mount(const std::string& key, const std::string& target, const Op& op) {
  BERTH_RETURN_IF_ERROR(checkOwn(key));
  BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(key, op));
  const auto record = registry_.snapshot(key);
  if (!record) return absl::NotFoundError(strCat("mount snapshot ", key, ": it is not prepared"));
  OverlayPlan plan = planFor(*record);
  BERTH_ASSIGN_OR_RETURN(const bool mountPoint, support::isMountPoint(target));
  if (mountPoint) {
    BERTH_ASSIGN_OR_RETURN(const std::string real, resolved(target));
    BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> targets, mountsOf(plan.source));
    if (std::find(targets.begin(), targets.end(), real) != targets.end()) return absl::OkStatus();
  }
  BERTH_RETURN_IF_ERROR(clearVolatileMark(*record));
  BERTH_ASSIGN_OR_RETURN(const Fd userNamespace, userNamespaceFor(*record));
  plan.userNamespace = userNamespace.get();
  absl::StatusOr<Fd> mount = makeOverlay(plan, abilities_.api);
  absl::Status status = mount.status();
  if (status.ok()) status = support::attachMount(*mount, target);
  return annotate(status, strCat("mount snapshot ", key, " of ", record->layers.size(), " layers"));
}

absl::StatusOr<std::string> SnapshotStore::unmount(const std::string& key,
                                                   const std::string& target, const Op& op) {
  BERTH_RETURN_IF_ERROR(checkKey(key));
  BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(key, op));
  const std::string doing = strCat("unmount snapshot ", key);
  BERTH_ASSIGN_OR_RETURN(const bool mountPoint, support::isMountPoint(target));
  if (!mountPoint) return std::string();
  // Someone else's mount on the target is not ours to take away.
  BERTH_ASSIGN_OR_RETURN(const std::string real, resolved(target));
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> targets, mountsOf(layout_.snapshot(key)));
  if (std::find(targets.begin(), targets.end(), real) == targets.end()) return std::string();
  const absl::Status plain = support::unmount(real, support::UnmountMode::kNow);
  if (plain.ok()) return std::string();
  // A stranger with a file open or a shell in there (a log shipper, an operator) must not keep a
  // pod from going: it loses sight of nothing it has open, and the rest vanishes now.
  const absl::Status lazy = support::unmount(real, support::UnmountMode::kLazy);
  if (!lazy.ok()) return annotate(lazy, doing);
  return strCat(doing, ": ", support::fromAbsl(plain.message()), "; detached instead");
}

absl::StatusOr<DiskUsage> SnapshotStore::usage(const std::string& key, const Op& op) {
  const auto record = registry_.snapshot(key);
  const auto missing = [&key] {
    return absl::NotFoundError(strCat("measure snapshot ", key, ": it is not prepared"));
  };
  if (!record) return missing();
  const absl::StatusOr<Fd> upper =
      support::openFile(layout_.snapshot(key) + "/upper", O_RDONLY | O_DIRECTORY);
  // Removed since: no lock is held over the walk.
  if (absl::IsNotFound(upper.status())) return missing();
  BERTH_RETURN_IF_ERROR(upper.status());
  absl::StatusOr<DiskUsage> usage =
      untar::measureTree(upper->get(), [&op] { return op.cancelled(); });
  if (!usage.ok()) return annotate(usage.status(), strCat("measure snapshot ", key));
  registry_.noteUsage(key, *usage);
  return usage;
}

absl::Status SnapshotStore::diff(const std::string& key, size_t layers, untar::PieceTarget target,
                                 const Op& op) {
  const std::string doing = strCat("write the changes of snapshot ", key);
  const auto record = registry_.snapshot(key);
  if (!record) return absl::NotFoundError(strCat(doing, ": it is not prepared"));
  if (layers > record->layers.size()) {
    return absl::OutOfRangeError(
        strCat(doing, ": it has ", record->layers.size(), " layers, not ", layers));
  }
  DiffStack stack{.above = {layout_.snapshot(key) + "/upper"},
                  .uids = record->uidMappings,
                  .gids = record->gidMappings};
  for (size_t i = record->layers.size(); i-- > 0;) {
    (i >= layers ? stack.above : stack.below).push_back(layout_.layer(record->layers[i]) + "/fs");
  }
  untar::TarWriter tar(std::move(target));
  return annotate(writeDiff(stack, tar,
                            [&op]() -> absl::Status {
                              if (!op.cancelled()) return absl::OkStatus();
                              return absl::CancelledError("it is no longer wanted");
                            }),
                  doing);
}

absl::Status SnapshotStore::remove(const std::string& key, const Op& op) {
  BERTH_RETURN_IF_ERROR(checkKey(key));
  std::string discarded;
  {
    BERTH_ASSIGN_OR_RETURN(const KeyLocks::Guard guard, locks_.lock(key, op));
    const std::string path = layout_.snapshot(key);
    BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> targets, mountsOf(path));
    if (!targets.empty())
      return absl::FailedPreconditionError(strCat("remove snapshot ", key, ": it is mounted on ",
                                                  targets.back(), "; unmount it first"));
    BERTH_ASSIGN_OR_RETURN(discarded, layout_.discard(path));
    registry_.removeSnapshot(key);
    forgetGone();
  }
  if (discarded.empty()) return absl::OkStatus();
  op.stage(strCat("delete the files of snapshot ", key));
  return support::removeTree(discarded);
}

absl::StatusOr<std::vector<std::string>> SnapshotStore::load() {
  std::vector<std::string> warnings;
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         support::listDirectory(layout_.snapshots()));
  for (const std::string& name : names) {
    absl::StatusOr<SnapshotRecord> record = readSnapshotRecord(layout_.snapshot(name));
    if (record.ok() && record->key == name) {
      registry_.restoreSnapshot(*record);
      continue;
    }
    if (record.ok()) record = absl::DataLossError(strCat("the record is about ", record->key));
    BERTH_ASSIGN_OR_RETURN(std::string warning, loadUnreadable(name, record.status()));
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

absl::StatusOr<std::string> SnapshotStore::loadUnreadable(const std::string& key,
                                                          const absl::Status& reason) {
  if (absl::IsResourceExhausted(reason)) return reason;
  const std::string text(support::fromAbsl(reason.message()));
  const std::string directory = layout_.snapshot(key);
  if (!isDamage(reason)) {
    leftAlone_.add(key, directory, reason);
    // Which layers it lies on is written where, or in a way that, it cannot be read.
    registry_.pin(key, std::nullopt);
    return strCat("snapshot ", key, " is left alone, and no layer is removed: ", text);
  }
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> targets, mountsOf(directory));
  if (!targets.empty()) {
    BERTH_ASSIGN_OR_RETURN(std::optional<std::vector<std::string>> layers,
                           mountedLayers(layout_, key));
    leftAlone_.add(key, directory, reason);
    registry_.pin(key, std::move(layers));
    return strCat("snapshot ", key, " is damaged but mounted, it stays until it is not: ", text);
  }
  BERTH_RETURN_IF_ERROR(layout_.discard(directory).status());
  return strCat("snapshot ", key, " was damaged and is removed: ", text);
}

absl::Status SnapshotStore::verify(const std::string& key, Findings& out) const {
  absl::Status gone = absl::NotFoundError(strCat("verify snapshot ", key, ": it is not prepared"));
  const auto known = registry_.snapshot(key);
  if (!known) return gone;
  const std::string directory = layout_.snapshot(key);
  const absl::StatusOr<SnapshotRecord> record = readSnapshotRecord(directory);
  if (isDamage(record.status())) {
    out.refused("", support::fromAbsl(record.status().message()));
  } else if (!record.ok()) {
    return record.status();
  } else if (!sameSnapshot(*record, *known)) {
    out.refused("", "its record has changed");
  }
  for (const char* part : {"upper", "work"})
    if (!support::pathExists(strCat(directory, "/", part))) out.refused(part, "is missing");
  // What is mounted has what it needs.
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> targets, mountsOf(directory));
  for (const std::string& layer : known->layers) {
    if (registry_.layer(layer)) continue;
    const std::string missing = strCat("layer ", layer, " is not there (any more)");
    if (targets.empty()) {
      out.refused("", missing);
    } else {
      out.limited("", strCat(missing, "; as it is mounted it keeps the one that it has"));
    }
  }
  return registry_.snapshot(key) ? absl::OkStatus() : gone;
}

void SnapshotStore::setAside(Findings& out) const {
  for (const auto& [name, reason] : leftAlone_.list())
    if (support::pathExists(layout_.snapshot(name))) out.refused(strCat("snapshot ", name), reason);
}

void SnapshotStore::forgetGone() {
  for (const std::string& key : leftAlone_.dropGone()) registry_.unpin(key);
}

absl::Status SnapshotStore::checkOwn(const std::string& key) {
  forgetGone();
  return annotate(leftAlone_.check(key), "snapshot");
}

}  // namespace berth::overlay
